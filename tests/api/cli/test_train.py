import subprocess
import sys

import pytest

from api.cli.main import main

TRAIN = ["train", "compact", "--data", "nowhere", "--out"]
# A module that is None fails to import as if it were not installed.
WITHOUT_TORCH = "import sys; sys.modules['torch'] = None; from api.cli.main import main; "


def test_without_torch_the_command_says_how_to_install_it(tmp_path):
    code = WITHOUT_TORCH + f"sys.exit(main({[*TRAIN, str(tmp_path)]!r}, {{}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "pip install torch==2.13.0" in done.stderr
    assert "medsam3-agent[train]" in done.stderr


def test_a_begun_run_is_a_fault_of_the_command_line(tmp_path, capsys):
    pytest.importorskip("torch", reason="training needs the extra 'train'")
    (tmp_path / "stage-1").mkdir()
    (tmp_path / "stage-1" / "checkpoint.pt").write_bytes(b"")
    assert main([*TRAIN, str(tmp_path)], {}) == 2
    assert "--resume" in capsys.readouterr().err


def test_an_export_needs_a_checkpoint(tmp_path, capsys):
    pytest.importorskip("torch", reason="training needs the extra 'train'")
    command = ["train", "export", "--data", "nowhere", "--run", str(tmp_path), "--weights-id", "x"]
    assert main([*command, "--out", str(tmp_path)], {}) == 2
    assert "holds no checkpoint" in capsys.readouterr().err
