"""A folder of its own for each test, and command lines run in this process."""

import pytest

from graphgrad.cli import main


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(capsys):
    """Run a command line; returns its status, output and errors."""

    def run_(*arguments):
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as leave:  # how argparse ends
            status = leave.code
        told = capsys.readouterr()
        return status, told.out, told.err

    return run_
