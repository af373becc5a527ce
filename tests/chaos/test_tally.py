"""What counts as lost, wrong or doubled."""

from dataclasses import replace

from chaos.journal import FailedRead, Journal, JournaledProduct, Window
from chaos.tally import Remains, Tally, render, tally

NOTHING = Remains(prices={}, missing_events=(), missing_accounts=(), job_ids=(), successes={})
AWAY = Window("postgres away", 10.0, 20.0, frozenset({"DATABASE_UNAVAILABLE"}))


def of(journal: Journal, remains: Remains = NOTHING, *windows: Window) -> Tally:
    return tally(journal, windows, remains)


def failed(reason: str, began: float, ended: float) -> Journal:
    return Journal(failed_reads=[FailedRead("product", reason, began, ended)])


def test_a_run_in_which_all_is_there_is_clean() -> None:
    journal = Journal(products={"bag": JournaledProduct("1", confirmed=3, attempted=3)}, jobs={"a": {"7"}})
    assert of(journal, replace(NOTHING, prices={"bag": [3]}, job_ids=["7"], successes={"7": 1})).is_clean


def test_an_acknowledged_write_has_to_be_there_and_another_may_be() -> None:
    created = Journal(products={"bag": JournaledProduct("1", confirmed=3, attempted=4)})
    assert of(created).lost_writes == ["product bag was created and is missing"]
    assert of(created, replace(NOTHING, prices={"bag": [2]})).lost_writes == ["product bag has price 2, and 3 was acknowledged"]
    assert of(created, replace(NOTHING, prices={"bag": [4]})).is_clean
    unanswered = Journal(products={"bag": JournaledProduct(attempted=1)})
    assert of(unanswered).is_clean and of(unanswered, replace(NOTHING, prices={"bag": [1]})).is_clean


def test_an_unanswered_write_is_done_once_at_most() -> None:
    journal = Journal(products={"bag": JournaledProduct(attempted=1)})
    assert of(journal, replace(NOTHING, prices={"bag": [1, 1]})).doubled_writes == ["bag exists 2 times"]


def test_events_and_accounts_can_be_lost_too() -> None:
    found = of(Journal(), replace(NOTHING, missing_events=["e"], missing_accounts=["a"]))
    assert found.lost_writes == ["event e was acknowledged and is missing", "account a was acknowledged and is missing"]


def test_a_request_id_makes_one_job_which_is_done_once() -> None:
    assert of(Journal(jobs={"a": {"7", "8"}})).doubled_jobs == ["a became the jobs 7, 8"]
    assert of(Journal(jobs={"a": {"7"}}), replace(NOTHING, successes={"7": 2})).doubled_jobs == ["job 7 was done 2 times"]
    # Of two unknown jobs, one may be that of the submission that was never answered.
    unanswered = Journal(jobs={"a": set()})
    assert of(unanswered, replace(NOTHING, job_ids=["7"])).is_clean
    assert of(unanswered, replace(NOTHING, job_ids=["7", "8"])).doubled_jobs == ["nobody has submitted the jobs 7, 8"]


def test_a_read_may_fail_only_while_what_explains_it_has_no_replica() -> None:
    assert of(failed("DATABASE_UNAVAILABLE", 19.0, 21.0), NOTHING, AWAY).is_clean
    for reason, began in (("SERVICE_UNAVAILABLE", 15.0), ("DATABASE_UNAVAILABLE", 5.0), ("DATABASE_UNAVAILABLE", 40.0)):
        assert not of(failed(reason, began, began + 1), NOTHING, AWAY).is_clean


def test_a_price_that_was_overwritten_or_never_written_is_wrong() -> None:
    journal = Journal(products={"bag": JournaledProduct("1", confirmed=5, attempted=6)})
    for seen in (4, 5, 6):
        # The read began when 4 was confirmed.
        journal.check_price("bag", 4, seen)
    assert not journal.wrong
    journal.check_price("bag", 5, 4)
    journal.check_price("bag", 5, 7)
    assert len(of(journal).wrong_answers) == 2


def test_the_report_names_each_error_once_and_how_long_processes_took() -> None:
    journal = Journal(wrong=["bag is missing"] * 3)
    text = render(of(journal), journal, {"gateway": [1.0, 2.5]}, excused=4)
    assert "bag is missing (3 times)" in text
    assert "ready 2.5 s after kill -9 (the longest of 2)" in text


def test_a_failed_read_is_reported_with_the_fault_that_began_last_before_it() -> None:
    earlier = Window("kill -9 gateway", 2.0, 4.0, frozenset())
    assert of(failed("UNREACHABLE", 1.0, 1.2), NOTHING, earlier).failed_reads == ["product failed after 0.2 s: UNREACHABLE"]
    (text,) = of(failed("UNREACHABLE", 12.0, 12.1), NOTHING, earlier, AWAY).failed_reads
    assert text == "product failed after 0.1 s: UNREACHABLE, 2 s after the beginning of postgres away"
