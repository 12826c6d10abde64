"""The OpenAPI document: its own examples work, its errors are named, and the client agrees."""

import json
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs

import httpx
import jsonschema
import pytest

from petsearch.client import Client, Photo, PhotoSource, upload
from petsearch.domain import JsonDict, image_id_of, sha256_of
from petsearch.domain.errors import PetsearchError
from services.http.problems import MEDIA_TYPE
from tests import pictures

_METHODS = ("get", "post", "put", "patch", "delete")
_ONE_OF_MANY = re.compile(r"\{[^}]+\}")


@pytest.fixture(scope="module")
def document(server_url: str) -> JsonDict:
    """What the server says of itself."""
    found: JsonDict = httpx.get(f"{server_url}/openapi.json").json()
    return found


def operations(document: JsonDict) -> Iterator[tuple[str, str, JsonDict]]:
    """Method, path and description of every operation."""
    for path, described in document["paths"].items():
        for method in _METHODS:
            if method in described:
                yield method, path, described[method]


def resolved(document: JsonDict, schema: JsonDict) -> JsonDict:
    """A schema, or the one it refers to."""
    if "$ref" not in schema:
        return schema
    found: JsonDict = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found


def test_it_is_openapi_3_1_and_describes_every_error_as_a_problem(document: JsonDict) -> None:
    assert document["openapi"].startswith("3.1")
    for method, path, described in operations(document):
        errors = {code: r for code, r in described["responses"].items() if code >= "400"}
        assert {"421", "422", "429", "500", "503"} <= set(errors), (method, path)
        for code, answer in errors.items():
            if (path, code) != ("/readyz", "503"):
                assert set(answer["content"]) == {MEDIA_TYPE}, (method, path, code)
        if method != "get":
            assert "403" in errors, (method, path)
        if "requestBody" in described:
            assert {"400", "413"} <= set(errors), (method, path)
        if "{" in path:
            assert "404" in errors, (method, path)


def test_every_reference_leads_somewhere(document: JsonDict) -> None:
    names = set(document["components"]["schemas"])
    referred = set(re.findall(r"#/components/schemas/([\w-]+)", json.dumps(document)))
    assert referred <= names
    assert names - referred == set()


def test_what_a_search_may_leave_out_may_be_null(document: JsonDict) -> None:
    schemas = document["components"]["schemas"]
    parts = (*("SearchRequest", "FiltersBody", "NearBody"), *("Weights", "Example"))
    optional = {
        (part, name): field
        for part in parts
        for name, field in schemas[part]["properties"].items()
        if name not in schemas[part].get("required", ())
    }
    assert len(optional) > 35
    for name, field in optional.items():
        assert {"type": "null"} in field["anyOf"], name


def examples(document: JsonDict) -> Iterator[tuple[str, str, JsonDict]]:
    """Method, path and arguments of a request for each example in the document."""
    for method, path, described in operations(document):
        params = {
            parameter["name"]: example
            for parameter in described.get("parameters", ())
            if parameter["in"] == "query"
            for example in parameter["schema"].get("examples", ())[:1]
            if parameter.get("required")
        }
        contents = described.get("requestBody", {}).get("content", {})
        bodies = [
            (kind, example)
            for kind, content in contents.items()
            for example in resolved(document, content["schema"]).get("examples", ())
        ]
        for kind, body in bodies:
            yield method, path, {"json": body, "headers": {"Content-Type": kind}, "params": params}
        if params and not bodies:
            yield method, path, {"params": params}


NAMES_WHAT_IS_NOT_HERE = {"/v1/reindex"}
"""An example can only name a model that nobody published; test_model_change.py has one."""


def test_its_own_examples_are_answered(
    client: Client, http: httpx.Client, document: JsonDict
) -> None:
    tried = set()
    for method, path, arguments in examples(document):
        address = path.replace("{image_id}", new_image(client)).replace(
            "{job_id}", client.open_job("example")["job_id"]
        )
        answer = http.request(method, address, **arguments)
        is_fine = answer.is_success or path in NAMES_WHAT_IS_NOT_HERE
        assert is_fine, (method, path, arguments, answer.text)
        described = document["paths"][path][method]["responses"]
        assert str(answer.status_code) in described
        tried.add((method, path))
    assert tried >= {
        ("get", "/v1/search"),
        ("post", "/v1/search"),
        ("patch", "/v1/images/{image_id}"),
        ("delete", "/v1/images"),
        ("post", "/v1/jobs"),
        ("post", "/v1/jobs/{job_id}/known"),
        ("get", "/search"),
    }


def test_the_example_of_a_forms_metadata_is_taken(http: httpx.Client, document: JsonDict) -> None:
    form = document["paths"]["/v1/images"]["post"]["requestBody"]["content"]["multipart/form-data"]
    (example,) = resolved(document, form["schema"])["properties"]["metadata"]["examples"]
    files = {"photos": ("a.jpg", pictures.jpeg(81_000))}
    assert http.post("/v1/images", files=files, data={"metadata": example}).status_code == 202


KEYS = {"list_keys", "create_key", "revoke_key"}
"""With the first key this server would ask every other test for one; test_authorisation.py."""


class Recording(httpx.HTTPTransport):
    """Sends requests, and keeps them."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """See `httpx.BaseTransport.handle_request`."""
        request.read()
        self.sent.append(request)
        return super().handle_request(request)


def test_the_clients_calls_are_in_the_document(
    server_url: str, document: JsonDict, tmp_path: Path
) -> None:
    transport = Recording()
    with Client(server_url, transport=transport) as client:
        call_everything(client, tmp_path)
        public = {name for name in vars(Client) if not name.startswith("_")} - {"close"} - KEYS
        assert public == set(CALLED), "call it below, and name it"
    assert len(transport.sent) >= len(public)
    for request in transport.sent:
        check_request(document, request)


CALLED = (
    *(
        "search",
        "search_composed",
        "search_photo",
        "similar",
        "facets",
        "image",
        "image_ids",
        "list_images",
        "thumbnail",
        "duplicates",
        "count_by",
        "stats",
        "limits",
    ),
    *(
        "open_job",
        "read_source",
        "read_urls",
        "upload_source",
        "add_photos",
        "add_known",
        "seal_job",
    ),
    *("seal_job", "change_image", "delete_image", "delete_images_of_animal"),
    *("control_job", "delete_job", "watch_job", "job", "jobs", "job_items"),
    *("models", "reindex", "promote", "rollback", "drop_collection"),
)


def call_everything(client: Client, folder: Path) -> None:
    """Every method with all its parameters."""
    image_id = new_image(client)
    filters = {"species": "cat", "tag": "old", "status": "lost", "near": "52.5,13.4,5"}
    client.search("cat", limit=2, min_score=0.1, since="2020-01-01", **filters)
    client.search_composed({"text": "cat", "negative": [{"image_id": image_id}]})
    client.search_composed({"text": "cat", "weights": {"photo": 2}}, pictures.jpeg(1))
    client.search_photo(pictures.jpeg(1), limit=3, species="cat")
    client.similar(image_id, limit=2)
    client.facets("breed", species="cat")
    client.image(image_id)
    client.image_ids(image_id[:8])
    client.thumbnail(image_id)
    client.list_images(limit=2, sort="taken_at", **filters)
    client.duplicates("similar", limit=2, min_score=0.9)
    client.count_by("breed", **filters)
    client.change_image(image_id, {"tags": ["seen"], "animal_id": "client-1"})
    client.delete_images_of_animal("client-1")
    client.delete_image(new_image(client))
    client.stats()
    client.limits()
    client.jobs(3)
    job_id = client.open_job("client", expected=2, on_duplicate="keep", key=uuid.uuid4().hex)[
        "job_id"
    ]
    client.add_photos(job_id, [Photo("a.jpg", pictures.jpeg(82_001), {"tags": ["a"]})], key="k-1")
    client.add_known(job_id, [("0" * 64, {"breed": "beagle"})], key="k-2")
    for action in ("pause", "resume"):
        client.control_job(job_id, action)
    client.seal_job(job_id, timeout_s=30.0)
    assert [body["job_id"] for body in client.watch_job(job_id)][-1] == job_id
    list(client.job_items(job_id, "ingested"))
    manifest = folder / "m.csv"
    manifest.write_text("url,breed\nhttp://example.org/a.jpg,cat\n")
    client.upload_source("manifest", manifest, columns={"breed": None}, on_duplicate="keep")
    with pytest.raises(PetsearchError, match="PETSEARCH_URL_INGEST"):
        client.read_urls(["http://example.org/a.jpg"], on_duplicate="keep")
    with pytest.raises(PetsearchError, match="S3"):
        client.read_source({"type": "s3", "bucket": "b"}, on_duplicate="keep")
    client.job(job_id)
    client.delete_job(job_id)
    assert [model["current"] for model in client.models()] == [True]
    for call in (client.reindex, client.promote, client.drop_collection):
        with pytest.raises(PetsearchError, match="model"):
            call("none-000000000000")
    with pytest.raises(PetsearchError, match="no model to go back"):
        client.rollback()


def check_request(document: JsonDict, request: httpx.Request) -> None:
    """Path, method, parameters and body are such as the document has."""
    said = f"{request.method} {request.url.path}"
    described = described_operation(document, request)
    declared = {p["name"].lower() for p in described.get("parameters", ())}
    assert set(parse_qs(request.url.query.decode())) <= declared, said
    if "idempotency-key" in request.headers:
        assert "idempotency-key" in declared, said
    if not request.content:
        assert not described.get("requestBody", {}).get("required"), said
        return
    kind = request.headers["content-type"].partition(";")[0]
    schema = described["requestBody"]["content"][kind]["schema"]
    if kind.endswith("json"):
        validator = jsonschema.Draft202012Validator(
            {**schema, "components": document["components"]}
        )
        validator.validate(json.loads(request.content))
        return
    fields = set(re.findall(rb'form-data; name="([^"]+)"', request.content))
    form = resolved(document, schema)
    assert {field.decode() for field in fields} <= set(form["properties"]), said
    assert set(form.get("required", ())) <= {field.decode() for field in fields}, said


def described_operation(document: JsonDict, request: httpx.Request) -> JsonDict:
    """The operation that a request is of; a path without parameters comes first."""
    fitting = [
        path
        for path in document["paths"]
        if re.fullmatch(_ONE_OF_MANY.sub("[^/]+", path), request.url.path)
    ]
    paths = sorted(fitting, key=lambda path: path.count("{"))
    assert paths, f"{request.url.path} is not in the document"
    found: JsonDict = document["paths"][paths[0]][request.method.lower()]
    return found


def new_image(client: Client) -> str:
    """The id of a photo that is there."""
    data = pictures.jpeg(81_500)
    upload(client, PhotoSource(iter([Photo("x.jpg", data)]), 1), name="document")
    return image_id_of(sha256_of(data))
