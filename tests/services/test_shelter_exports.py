"""Tables as shelters' programs export them arrive with what they say of an animal.

Columns and quirks are those of the programs' public documentation and of importers that read them:
RescueGroups' and Petfinder's import formats, sheltermanager's (ASM) CSV export, the reports of
Shelterluv and PetPoint. Where a program has no names of photos, the shelter adds a column `photo`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from petsearch.domain import ImageMetadata, JobOptions, JobState, LeftOutReason
from petsearch.sources import parse_spec
from tests import pictures
from tests.services.house import House

PHOTOS = {name: pictures.jpeg(seed, 24, 16) for seed, name in enumerate(("a.jpg", "b.jpg"), 4600)}
DAY = datetime(2026, 5, 7, tzinfo=UTC)
LONG = "Rex came to us thin, and " + "loves every walk; " * 20


@dataclass(frozen=True)
class Export:
    """A table, how its columns are mapped, and what is known of the two photos in it."""

    data: bytes
    says: ImageMetadata
    columns: Mapping[str, str | None] = field(default_factory=dict)
    left_out: frozenset[str] = frozenset()
    """Some of the columns that are named as left out."""
    rows_without_photo: int = 1


def csv(*rows: tuple[str, ...], quoted: bool = True, newline: str = "\r\n") -> str:
    def cell(text: str) -> str:
        return '"' + text.replace('"', '""') + '"' if quoted or set(text) & set(',"\n') else text

    return "".join(",".join(map(cell, row)) + newline for row in rows)


def says(**fields: object) -> ImageMetadata:
    same = {"animal_id": "A-17", "species": "dog", "taken_at": DAY}
    return ImageMetadata(**(same | fields))  # type: ignore[arg-type]


RESCUEGROUPS_HEADER = (
    *("Animal ID", "Internal ID", "Status", "Species", "Name", "Created", "Received Date"),
    *("General Age", "Primary Breed", "Secondary Breed", "Mixed", "Color (General)"),
    *("Description", "Location", "Picture 1", "Picture 2", "Picture 3"),
)
RESCUEGROUPS = Export(
    csv(
        RESCUEGROUPS_HEADER,
        (
            *("A-17", "", "Available", "Dog", "Rex", "05/01/2026 09:30:00 AM", "05/07/2026"),
            *("Adult", "Pug", "Beagle", "Yes", "Black, Fawn", LONG),
            *("Foster home, North", "a.jpg", "b.jpg", ""),
        ),
        RESCUEGROUPS_HEADER,
        (*("A-18", "", "Adopted", "Dog", "", "", "05/27/2026"), *[""] * 10),
    ).encode("cp1252"),
    says(
        breed="pug",
        status="available",
        tags=("Black", "Fawn"),
        attributes={"location": "Foster home, North"},
    ),
    {"Color (General)": "tags"},
    frozenset({"Name", "Description", "Secondary Breed"}),
)
PETFINDER = Export(
    csv(
        (
            *("ID", "Internal", "AnimalName", "PrimaryBreed", "SecondaryBreed", "Sex", "Size"),
            *("Age", "Desc", "Type", "Status", "Shots", "Altered", "NoDogs", "photo1", "photo2"),
            *("photo3", "arrival_date", "birth_date", "primaryColor", "tags"),
        ),
        (
            *("A-17", "A-17", "Rex", "Pug", "", "M", "S", "Adult", LONG, "Dog", "A", "1", "1"),
            *("", "a.jpg", "b.jpg", "", "2026-05-07", "2024-01-31", "Black", "Shy, Old dog"),
        ),
        quoted=False,
        newline="\n",
    ).encode(),
    says(breed="pug", status="a", tags=("Shy", "Old dog")),
    left_out=frozenset({"Desc", "birth_date", "Internal"}),
    rows_without_photo=0,
)
SHELTERLUV_HEADER = (
    *("Photo", "Animal ID", "Name", "Species", "Primary Breed", "Secondary Breed", "Sex"),
    *("Age (Y/M/D)", "Primary Color", "Status", "Location", "Attributes", "Intake Date"),
    *("Kennel Card / Web Site Memo", "Comments", "Comments"),
)
SHELTERLUV = Export(
    "\ufeff".encode()
    + csv(
        SHELTERLUV_HEADER,
        (
            *("a.jpg", "A-17", "Rex", "Dog", "Pug", "", "Male", "2Y/4M/26D", "Black"),
            *("Available For Adoption", "Kennel 1, Kennel 4", "Cat Friendly, Special Needs"),
            *("05/07/2026", f"{LONG}\nCall us!", "", ""),
        ),
        SHELTERLUV_HEADER,
        (
            *("b.jpg", "A-17", "Rex", "Dog", "Pug", "", "Male", "2Y/4M/26D", "Black"),
            *("Available For Adoption", "Kennel 1, Kennel 4", "Cat Friendly, Special Needs"),
            *("5/7/2026 2:30 PM", "", "", ""),
        ),
        ("", "A-19", "", "Cat", *[""] * 8, "05/27/2026", "", "", ""),
    ).encode(),
    says(
        breed="pug",
        status="available for adoption",
        tags=("Cat Friendly", "Special Needs"),
        attributes={"location": "Kennel 1, Kennel 4"},
    ),
    left_out=frozenset({"Name", "Comments", "Comments 2"}),
)
ASM_HEADER = (
    *("ANIMALCODE", "ANIMALNAME", "ANIMALIMAGE", "ANIMALSEX", "ANIMALTYPE", "ANIMALBREED1"),
    *("ANIMALBREED2", "ANIMALDOB", "ANIMALLOCATION", "ANIMALUNIT", "ANIMALSPECIES"),
    *("ANIMALCOMMENTS", "ANIMALENTRYDATE", "ANIMALENTRYCATEGORY", "ANIMALFLAGS"),
    *("ORIGINALOWNERLASTNAME", "PERSONEMAIL", "VACCINATIONTYPE", "VACCINATIONGIVENDATE"),
)
ASM = Export(
    (
        ",".join(ASM_HEADER)
        + "\n"
        + csv(
            *(
                (
                    *("A-17", "Rex", photo, "Male", "D (Dog)", "Pug", "Pug", "31/01/2024"),
                    *("Stray kennels", "7", "Dog", LONG, "07/05/2026", "Stray"),
                    *("courtesy,quarantine", "Miller", "miller@example.org", "", ""),
                )
                for photo in PHOTOS
            ),
            ("A-17", "Rex", *[""] * 10, "17/05/2026", *[""] * 4, "Rabies", "17/05/2026"),
            newline="\n",
        )
    ).encode(),
    says(
        breed="pug",
        status="stray",
        tags=("courtesy", "quarantine"),
        attributes={"location": "Stray kennels"},
    ),
    {"ANIMALENTRYCATEGORY": "status"},
    frozenset({"ORIGINALOWNERLASTNAME", "PERSONEMAIL", "ANIMALDOB"}),
)
PETPOINT = Export(
    (
        "Animal: Inventory\tPrinted 5/28/2026\r\n\r\n"
        "Animal #\tARN\tAnimal Name\tSpecies\tPrimary Breed\tStage\tLocation\tIntake Date/Time\t"
        "Intake Type\tPhoto\tLatitude\tLongitude\t\r\n"
        "A-17\t\tRex\tDog\tPug\tAvailable\tDog Adoption\t5/7/2026 12:00:00 AM\tStray\ta.jpg\t"
        "48,2\t16,37\t\r\n"
        "A-17\t\tRex\tDog\tPug\tAvailable\tDog Adoption\t5/7/2026 12:00:00 AM\tStray\tb.jpg\t"
        "48,2\t16,37\r\n"
        "A-20\t\t\tCat\t\tBite Quarantine\t\t5/27/2026 8:05:00 AM\tStray\t\t0\t0\t\r\n"
    ).encode("utf-16"),
    says(
        breed="pug",
        status="available",
        tags=("Stray",),
        location=(48.2, 16.37),
        attributes={"location": "Dog Adoption"},
    ),
    {"Intake Type": "tags"},
    frozenset({"Animal Name"}),
)


@pytest.mark.parametrize(
    "export",
    [RESCUEGROUPS, PETFINDER, SHELTERLUV, ASM, PETPOINT],
    ids=["RescueGroups", "Petfinder", "Shelterluv", "ASM", "PetPoint"],
)
def test_an_export_arrives_with_what_it_says(house: House, tmp_path: Path, export: Export) -> None:
    for name, data in PHOTOS.items():
        (tmp_path / name).write_bytes(data)
    table = tmp_path / "export"
    table.write_bytes(export.data)
    spec = parse_spec({"type": "manifest", "path": str(table), "columns": export.columns})
    job_id = house.jobs.read(spec, JobOptions()).job_id
    house.run()
    job = house.jobs.get(job_id)
    assert (house.counts(job_id)["ingested"], job.reason) == (2, None)
    for data in PHOTOS.values():
        found = house.record(data).metadata
        assert (found.animal_id, found.species, found.breed, found.status) == (
            export.says.animal_id,
            export.says.species,
            export.says.breed,
            export.says.status,
        )
        assert found.taken_at is not None
        assert found.taken_at.date() == DAY.date()
        assert (found.tags, found.location) == (export.says.tags, export.says.location)
        assert found.attributes == export.says.attributes
    assert set(job.left_out) - {LeftOutReason.ROW} == {LeftOutReason.COLUMN}
    assert job.left_out.get(LeftOutReason.ROW, 0) == export.rows_without_photo
    assert job.state is JobState.SUCCEEDED
    assert {entry.name for entry in job.left_out_names} >= export.left_out
    assert job.warned == 0
