import logging
import threading
import warnings

import pytest

from segmenter.errors import BrokenImage, ImageTooLarge
from segmenter.formats.guard import guarded


def warn_like_a_library() -> None:
    warnings.warn_explicit(
        "Patient's name is Doe", UserWarning, "x.py", 1, module="pydicom.valuerep"
    )


def test_a_librarys_warning_neither_raises_nor_prints(capfd: pytest.CaptureFixture[str]) -> None:
    with guarded("thing"):
        warn_like_a_library()
    assert capfd.readouterr() == ("", "")


def test_our_own_warnings_still_count() -> None:
    with pytest.raises(BrokenImage), guarded("thing"):
        warnings.warn("ours", UserWarning, stacklevel=1)


def test_a_librarys_log_stays_unwritten(caplog: pytest.LogCaptureFixture) -> None:
    with guarded("thing"):
        logging.getLogger("pydicom").error("Doe^Jane")
        logging.getLogger("PIL.TiffImagePlugin").critical("Doe^Jane")
    assert caplog.records == []


def test_a_librarys_failure_becomes_ours_without_its_words() -> None:
    with pytest.raises(BrokenImage) as caught, guarded("thing"):
        raise ValueError("invalid name 'Doe^Jane'")
    assert "Doe" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_our_own_errors_pass() -> None:
    with pytest.raises(ImageTooLarge), guarded("thing"):
        raise ImageTooLarge("too large")


def test_filters_and_levels_are_as_before_after_concurrent_decodes() -> None:
    before = (list(warnings.filters), logging.getLogger("PIL").level)
    barrier = threading.Barrier(8)

    def decode() -> None:
        barrier.wait(timeout=10)
        for _ in range(50):
            with guarded("thing"):
                warn_like_a_library()

    threads = [threading.Thread(target=decode) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert (list(warnings.filters), logging.getLogger("PIL").level) == before
