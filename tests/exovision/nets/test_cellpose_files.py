"""Where Cellpose models are found, and how they are fetched: from a server of our own here."""

import importlib.util
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from exovision.errors import InputError, OutputError
from exovision.nets import cellpose_files
from exovision.nets.cellpose_files import KNOWN, KnownModel, fetch, find_model, present

SPEC = importlib.util.spec_from_file_location(
    "cellpose3", Path(__file__).parents[3] / "benchmarks" / "cellpose3.py"
)
cellpose3 = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(cellpose3)


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """Cellpose's folder, not there yet."""
    monkeypatch.setenv("CELLPOSE_LOCAL_MODELS_PATH", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture
def server(monkeypatch, tmp_path):
    """A folder that is served in place of Cellpose's site, with its models at other addresses."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    shared = tmp_path / "served"
    shared.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(shared))) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{httpd.server_port}"
        known = {name: KnownModel(model.file, f"{url}/{model.file}", 1) for name, model in KNOWN.items()}
        monkeypatch.setattr(cellpose_files, "KNOWN", known)
        yield shared
        httpd.shutdown()


def test_a_path_is_taken_before_a_name(folder, tmp_path, monkeypatch):
    folder.mkdir()
    (folder / "cpsam").touch()
    assert find_model("cpsam") == folder / "cpsam"
    monkeypatch.chdir(tmp_path)
    Path("cpsam").touch()
    assert find_model("cpsam") == Path("cpsam")
    assert find_model(str(folder / "cpsam")) == folder / "cpsam"


def test_names_of_cellpose_3_lead_to_its_files(folder):
    folder.mkdir()
    for file in ("nucleitorch_0", "cyto2torch_0", "my_training"):
        (folder / file).touch()
    assert find_model("nuclei") == folder / "nucleitorch_0"
    assert find_model("cyto2") == folder / "cyto2torch_0"
    assert find_model("my_training") == folder / "my_training"
    assert present() == ["cyto2", "nuclei"]


@pytest.mark.parametrize("name", [None, "cpsam_v2", "cyto3"])
def test_a_known_model_that_is_not_here_is_not_fetched_but_named_with_the_command(folder, name):
    with pytest.raises(InputError, match=f"exovision models fetch {name or 'cpsam_v2'}"):
        find_model(name)
    assert not folder.exists()


@pytest.mark.parametrize("name", ["cpsam_v3", "cyto4", "/nowhere/model", "../models/x", "."])
def test_another_name_never_becomes_the_default(folder, name):
    folder.mkdir()
    (folder / "cpsam_v2").touch()
    with pytest.raises(InputError, match="one of cpsam_v2, cpsam, cyto3, cyto2, cyto, nuclei, got"):
        find_model(name)


def test_a_model_is_fetched_once_and_its_licence_shown_each_time(folder, server):
    torch.save(cellpose3.weights(2, (6, 8, 10, 12)), server / "cyto3")
    lines = []
    assert fetch("cyto3", say=lines.append) == folder / "cyto3"
    assert "CC BY-NC" in lines[0] and "fetching" in lines[1]
    (server / "cyto3").unlink()
    fetch("cyto3", say=lines.append)
    assert len(lines) == 3 and "CC BY-NC" in lines[2]
    assert find_model("cyto3").read_bytes()


def test_what_is_no_model_is_not_kept(folder, server):
    (server / "cyto3").write_text("<html>please sign in</html>")
    with pytest.raises(InputError, match="cyto3: a Cellpose model was expected there"):
        fetch("cyto3", say=lambda line: None)
    assert not list(folder.iterdir())


def test_without_a_connection_there_is_one_line(folder, server):
    with pytest.raises(InputError, match=r"could not be fetched: .*404") as refused:
        fetch("cpsam", say=lambda line: None)
    assert "\n" not in str(refused.value) and "by hand" in str(refused.value)
    cellpose_files.KNOWN["cpsam"] = KnownModel("cpsam", "http://127.0.0.1:9/cpsam", 1)
    with pytest.raises(InputError, match="could not be fetched"):
        fetch("cpsam", say=lambda line: None)
    assert not list(folder.iterdir())


def test_a_name_that_is_not_known_and_a_folder_that_is_none_get_one_line(folder):
    with pytest.raises(InputError, match="unknown Cellpose model 'cpsam3'; known: cpsam_v2"):
        fetch("cpsam3", say=lambda line: None)
    folder.write_text("in the way")
    with pytest.raises(OutputError, match="must be writable"):
        fetch("cpsam", say=lambda line: None)
