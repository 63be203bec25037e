"""Branches: they share until they differ, nest, merge by cells and operators, and name what conflicts."""

import pytest

import mmsb


@pytest.fixture
def bus() -> mmsb.Bus:
    bus = mmsb.open()
    bus.create_page("p", shape=(10,), dtype="i8")
    bus.create_page("sums", shape=(3,), dtype="i8", op="add")
    bus["p"][:] = 1
    return bus


def test_a_branch_goes_its_own_way(bus: mmsb.Bus) -> None:
    plan = bus.branch("plan")
    assert isinstance(plan, mmsb.Bus)
    plan["p"][0] = 5
    bus["p"][1] = 6
    assert (plan["p"][:2].tolist(), bus["p"][:2].tolist()) == ([5, 1], [1, 6])
    assert plan.branch_name == "plan"
    deep = plan.branch("deep")
    deep["p"][2] = 7
    past = bus.branch("past", at=1)
    assert past["p"][:].tolist() == [0] * 10
    assert past.epoch == 1
    found = bus.branches()
    assert sorted(found) == ["deep", "main", "past", "plan"]
    assert (found["deep"].parent, found["deep"].forked_at) == ("plan", plan.epoch)
    assert found["main"].parent is None
    assert bus.checkout("plan")["p"][0] == 5
    (change,) = bus.diff(plan)
    assert change.rows.tolist() == [0, 1]
    deep.drop()
    assert "deep" not in bus.branches()
    with pytest.raises(mmsb.BranchNotFound):
        deep["p"][0] = 1


def test_merging_takes_what_the_other_changed(bus: mmsb.Bus) -> None:
    plan = bus.branch("plan")
    plan["p"][0] = 5
    plan["sums"].merge(3, rows=[0])
    plan.create_page("new", shape=(2,), dtype="f4")[1] = 2
    bus["p"][1] = 6
    bus["sums"].merge(4, rows=[0])
    epoch = bus.merge(plan, source="me", intent="take it")
    assert epoch == bus.epoch
    assert bus["p"][:3].tolist() == [5, 6, 1]
    assert bus["sums"][0] == 7, "both merged by the page's operator"
    assert bus["new"][:].tolist() == [0, 2]
    assert bus.merge(plan) is None, "nothing new"
    plan["p"][9] = 9
    assert bus.merge(plan) == bus.epoch
    assert bus["p"][9] == 9
    assert next(bus.log(source="me")).intent == "take it"


def test_conflicts_are_named_and_settled(bus: mmsb.Bus) -> None:
    plan = bus.branch("plan")
    plan["p"][3:5] = 5
    bus["p"][4] = 6
    before = bus.epoch, bus.digest()
    with pytest.raises(mmsb.ConflictError, match="'p'") as caught:
        bus.merge(plan)
    assert caught.value.pages == ["p"]
    assert caught.value.clashes[0][1] == [4]
    assert (bus.epoch, bus.digest()) == before
    bus.merge(plan, on_conflict="ours")
    assert bus["p"][3:5].tolist() == [5, 6]
    plan["p"][4] = 8
    bus["p"][4] = 7
    bus.merge(plan, on_conflict="theirs")
    assert bus["p"][4] == 8


def test_branches_come_back_when_a_bus_is_opened_again(bus: mmsb.Bus, tmp_path: object) -> None:
    path = f"{tmp_path}/bus"
    with mmsb.open(path) as kept:
        kept.create_page("p", shape=(4,), dtype="i8")
        plan = kept.branch("plan")
        plan["p"][0] = 5
        digests = kept.digest(), plan.digest()
    with mmsb.open(path) as again:
        assert (again.digest(), again.checkout("plan").digest()) == digests
        assert again.checkout("plan")["p"][0] == 5


def test_only_what_both_merged_by_the_operator_is_merged_by_it() -> None:
    bus = mmsb.open()
    page = bus.create_page("p", shape=(3,), dtype="i8", op="add")
    plan = bus.branch("plan")
    plan["p"].merge(1)
    page.merge(2)
    plan["p"][0] = 5
    page[0] = 6
    page.merge(3, rows=[1], op="mul")
    with pytest.raises(mmsb.ConflictError) as caught:
        bus.merge(plan)
    assert caught.value.clashes[0][1] == [0, 1]
    bus.merge(plan, on_conflict="ours")
    assert page[:].tolist() == [6, 6, 3]


def test_products_are_merged_and_what_was_settled_is_not_asked_again() -> None:
    bus = mmsb.open()
    page = bus.create_page("p", shape=(3,), dtype="u1", op="mul")
    page[:] = [0, 3, 5]
    plan = bus.branch("plan")
    plan["p"].merge([2, 64, 1])
    page.merge([3, 6, 7])
    plan["p"][2] = 9
    with pytest.raises(mmsb.ConflictError) as caught:
        bus.merge(plan)
    assert caught.value.clashes[0][1] == [2]
    assert bus.merge(plan, on_conflict="ours") == bus.epoch
    assert page[:].tolist() == [0, 3 * 64 * 6 % 256, 35]
    assert bus.merge(plan) is None


def test_branches_that_merged_each_other_meanwhile_count_everything_once() -> None:
    bus = mmsb.open()
    bus.create_page("sums", shape=(2,), dtype="i8", op="add")
    plan = bus.branch("plan")
    bus["sums"].merge(1)
    plan["sums"].merge(10)
    old = bus.branch("old")
    bus.merge(plan)
    plan.merge(old)
    bus["sums"].merge(100, rows=[0])
    plan["sums"].merge(1000, rows=[0])
    bus.merge(plan)
    plan.merge(bus)
    assert (bus["sums"][:].tolist(), plan["sums"][:].tolist()) == ([1111, 11], [1111, 11])
    # What each settled its own way has no common value.
    bus.create_page("p", shape=(1,), dtype="i8")
    plan.merge(bus)
    bus["p"][0], plan["p"][0] = 5, 6
    older = bus.branch("older")
    bus.merge(plan, on_conflict="ours")
    plan.merge(older, on_conflict="ours")
    with pytest.raises(mmsb.ConflictError, match="'p'"):
        bus.merge(plan)
    bus.merge(plan, on_conflict="theirs")
    assert bus["p"][0] == 6


def test_of_two_pages_of_one_name_one_is_left_out() -> None:
    bus = mmsb.open()
    plan = bus.branch("plan")
    bus.create_page("p", size=2)
    plan.create_page("p", size=3)
    with pytest.raises(mmsb.ConflictError, match="name"):
        bus.merge(plan)
    assert bus.merge(plan, on_conflict="ours") is None
    assert len(bus["p"]) == 2
    bus.merge(plan, on_conflict="theirs")
    assert len(bus["p"]) == 3
