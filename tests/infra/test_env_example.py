""".env.example says what every variable of the compose files does, and gives no secret."""

import re

from tests.infra.compose_files import BASE, OVERRIDES, ROOT, VARIABLE, variables

LINES = (ROOT / ".env.example").read_text().splitlines()
SECTION = re.compile(r"# --- (\S+) ---")


def explained() -> dict[str, tuple[str, str, bool]]:
    """By variable: the section it stands in, its value, and whether it must be given for prod."""
    found: dict[str, tuple[str, str, bool]] = {}
    section = ""
    for line in LINES:
        if heading := SECTION.fullmatch(line):
            section = heading[1]
        elif assigned := re.fullmatch(r"(#= )?([A-Z0-9_]+)=(.*)", line):
            assert assigned[2] not in found, f"{assigned[2]} is there twice"
            found[assigned[2]] = (section, assigned[3], bool(assigned[1]))
    return found


def test_every_variable_is_explained_and_no_other() -> None:
    used = {name for file in (BASE, *OVERRIDES) for name in variables(file)}
    assert set(explained()) == used
    for before, line in zip(["", *LINES], LINES, strict=False):
        if re.match(r"(#= )?[A-Z0-9_]+=", line):
            assert before.startswith("# "), f"{line} has no line before it that says what it does"


def test_the_values_are_the_defaults_of_the_files() -> None:
    for file in (BASE, *OVERRIDES):
        for name, defaults in variables(file).items():
            for default in defaults - {None}:
                assert default == explained()[name][1], (file, name)


def test_what_production_insists_on_is_not_given_here() -> None:
    _, prod, _, accounts = map(variables, OVERRIDES)
    used = [*prod.items(), *accounts.items()]
    wanted = {name for name, defaults in used if None in defaults}
    assert wanted == {name for name, (_, _, for_prod) in explained().items() if for_prod}
    assert wanted >= {
        "PUBLIC_HOST",
        "TLS_ISSUER",
        "PETSEARCH_QDRANT_API_KEY",
        "PETSEARCH_S3_SECRET_KEY",
        "REDIS_PASSWORD",
    }


def test_variables_stand_with_the_file_that_uses_them() -> None:
    for name, (section, _, _) in explained().items():
        first = next(file for file in (BASE, *OVERRIDES) if name in variables(file))
        assert section == first, name


def test_variables_are_written_in_one_way() -> None:
    for file in (BASE, *OVERRIDES):
        lines = (line.split("# ")[0] for line in (ROOT / file).read_text().splitlines())
        text = VARIABLE.sub("", "\n".join(lines)).replace("$$", "")
        assert "$" not in text, file
