from __future__ import annotations

import logging
import re
import threading

import pytest

from twofa import correlation

MINTED = re.compile(r"[0-9a-f]{32}")


@pytest.mark.parametrize("offered", ["a", "A-1.b_c:d", "x" * 128])
def test_well_formed_id_is_kept(offered: str):
    assert correlation.accept(offered) == offered


@pytest.mark.parametrize(
    "offered",
    [None, "", "x" * 129, "a b", "a\n", "a\r\nX-Evil: 1", "a\x00", "á", "a/b", "a;b", "<script>", "１", "a\u2028"],
)
def test_anything_else_is_replaced(offered: str | None):
    replaced = correlation.accept(offered)
    assert MINTED.fullmatch(replaced)
    assert correlation.accept(offered) != replaced


def test_id_is_bound_to_its_block():
    assert correlation.current() == ""
    with correlation.bound("outer"):
        with pytest.raises(ValueError), correlation.bound("inner"):  # noqa: PT012  # the block is what is left
            assert correlation.current() == "inner"
            raise ValueError
        assert correlation.current() == "outer"
    assert correlation.current() == ""


def test_id_does_not_reach_other_threads():
    seen = []
    with correlation.bound("mine"):
        thread = threading.Thread(target=lambda: seen.append(correlation.current()))
        thread.start()
        thread.join()
    assert seen == [""]


def test_own_records_carry_the_id(caplog):
    logger = correlation.get_logger("twofa.test")
    with correlation.bound("abc"):
        logger.warning("hello", extra={"other": 1})
    record = caplog.records[0]
    assert (record.correlation_id, record.other, record.getMessage()) == ("abc", 1, "hello")


def test_filter_puts_the_id_on_records_of_others():
    record = logging.LogRecord("other", logging.INFO, __file__, 1, "hello", None, None)
    with correlation.bound("abc"):
        assert correlation.CorrelationFilter().filter(record)
    assert record.correlation_id == "abc"
