"""Products: which step may follow which, what publishing asks for, and what an edit does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from stockward_server.domain.errors import EtagMismatch, ProductNotReady, ProductStateInvalid, SkuTaken
from stockward_server.domain.money import Money
from stockward_server.domain.names import handle_from
from stockward_server.domain.product import Image, Product, ProductEdit, ProductState, Variant
from stockward_server.domain.product_changes import (
    change_event,
    decide_archival,
    decide_creation,
    decide_due_publication,
    decide_publication,
    decide_restoration,
    decide_unpublication,
    decide_update,
    require_product_etag,
)
from stockward_server.domain.readiness import readiness
from stockward_server.storage.read.product_cache import kibibytes

DRAFT, PUBLISHED, UNPUBLISHED, ARCHIVED = ProductState
THEN = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 6, 1, tzinfo=UTC)
LATER = NOW + timedelta(days=1)

TEE = Variant("TEE-L", Money("EUR", 1990), barcode="4006381333931", options={"Size": "L"})


def product(state: ProductState = DRAFT, *variants: Variant, scheduled: datetime | None = None) -> Product:
    """One that lacks nothing, in the given state."""
    return Product(
        product_id="p",
        handle="tee",
        title="Tee",
        state=state,
        create_time=THEN,
        update_time=THEN,
        description="Soft.",
        images=(Image("https://shop.example/tee.jpg"),),
        variants=variants or (TEE,),
        scheduled_publish_time=scheduled,
        publish_time=THEN if state in (PUBLISHED, UNPUBLISHED) else None,
        version=3,
    )


def publish(product: Product, now: datetime) -> Product:
    return decide_publication(product, None, now)


def publish_later(product: Product, now: datetime) -> Product:
    return decide_publication(product, LATER, now)


Decision = Callable[[Product, datetime], Product]


@pytest.mark.parametrize(
    ("decide", "before", "after", "event"),
    [
        (publish, DRAFT, PUBLISHED, "product.published"),
        (publish, UNPUBLISHED, PUBLISHED, "product.published"),
        (publish, PUBLISHED, PUBLISHED, None),
        (publish_later, DRAFT, DRAFT, "product.scheduled"),
        (publish_later, UNPUBLISHED, UNPUBLISHED, "product.scheduled"),
        (decide_unpublication, PUBLISHED, UNPUBLISHED, "product.unpublished"),
        (decide_unpublication, UNPUBLISHED, UNPUBLISHED, None),
        (decide_unpublication, DRAFT, DRAFT, None),
        (decide_archival, DRAFT, ARCHIVED, "product.archived"),
        (decide_archival, UNPUBLISHED, ARCHIVED, "product.archived"),
        (decide_archival, ARCHIVED, ARCHIVED, None),
        (decide_restoration, ARCHIVED, DRAFT, "product.restored"),
        (decide_restoration, DRAFT, DRAFT, None),
        (decide_restoration, UNPUBLISHED, UNPUBLISHED, None),
    ],
)
def test_a_step_that_is_allowed(decide: Decision, before: ProductState, after: ProductState, event: str | None) -> None:
    was = product(before)
    now_is = decide(was, NOW)
    assert now_is.state is after
    assert change_event(was, now_is) == event
    assert now_is.update_time == (NOW if event else THEN)


@pytest.mark.parametrize(
    ("decide", "before", "action"),
    [
        (publish, ARCHIVED, "publish"),
        (publish_later, ARCHIVED, "schedule"),
        (publish_later, PUBLISHED, "schedule"),
        (decide_unpublication, ARCHIVED, "unpublish"),
        (decide_archival, PUBLISHED, "archive"),
        (decide_restoration, PUBLISHED, "restore"),
    ],
)
def test_a_step_that_is_refused(decide: Decision, before: ProductState, action: str) -> None:
    with pytest.raises(ProductStateInvalid) as refused:
        decide(product(before), NOW)
    assert refused.value.metadata == {"product_id": "p", "state": before.name, "action": action}


def test_publishing_sets_its_time_and_ends_the_schedule() -> None:
    published = publish(product(scheduled=LATER), NOW)
    assert (published.publish_time, published.scheduled_publish_time) == (NOW, None)


def test_publishing_in_the_past_is_publishing_now() -> None:
    assert decide_publication(product(), THEN, NOW).publish_time == NOW


def test_a_later_call_replaces_the_schedule_and_the_same_time_changes_nothing() -> None:
    scheduled = publish_later(product(), NOW)
    moved = decide_publication(scheduled, LATER + timedelta(days=1), NOW)
    assert change_event(scheduled, moved) == "product.scheduled"
    assert moved.scheduled_publish_time == LATER + timedelta(days=1)
    assert publish_later(scheduled, NOW) is scheduled


@pytest.mark.parametrize(("decide", "event"), [(decide_unpublication, "updated"), (decide_archival, "archived")])
def test_unpublishing_and_archiving_clear_the_schedule(decide: Decision, event: str) -> None:
    scheduled = product(scheduled=LATER)
    cleared = decide(scheduled, NOW)
    assert cleared.scheduled_publish_time is None
    assert change_event(scheduled, cleared) == f"product.{event}"


def test_a_product_that_was_published_once_is_restored_to_unpublished() -> None:
    assert decide_restoration(decide_archival(product(UNPUBLISHED), NOW), NOW).state is UNPUBLISHED


def test_a_due_product_is_published() -> None:
    due = product(scheduled=NOW)
    published = decide_due_publication(due, NOW)
    assert (published.state, published.scheduled_publish_time, published.publish_time) == (PUBLISHED, None, NOW)
    assert change_event(due, published) == "product.published"


def test_a_due_product_that_is_no_longer_ready_loses_its_schedule() -> None:
    due = product(UNPUBLISHED, replace(TEE, price=Money("EUR", 0)), scheduled=NOW)
    cleared = decide_due_publication(due, NOW)
    assert (cleared.state, cleared.scheduled_publish_time) == (UNPUBLISHED, None)
    assert change_event(due, cleared) == "product.updated"


def test_a_product_that_is_not_due_stays() -> None:
    for waiting in (product(scheduled=LATER), product()):
        assert decide_due_publication(waiting, NOW) is waiting


@pytest.mark.parametrize(
    ("changed", "issue"),
    [
        ({"variants": ()}, ("NO_VARIANTS", "variants")),
        ({"variants": (replace(TEE, price=Money("EUR", 0)),)}, ("PRICE_ZERO", "variants[0].price")),
        (
            {"variants": (TEE, replace(TEE, sku="TEE-M", price=Money("USD", 5), options={"Size": "M"}))},
            ("MIXED_CURRENCIES", "variants[1].price"),
        ),
        (
            {"variants": (TEE, replace(TEE, sku="TEE-M", options={"Size": "M"}), replace(TEE, sku="TEE-X"))},
            ("DUPLICATE_OPTIONS", "variants[2].options"),
        ),
        (
            {
                "variants": (
                    replace(TEE, options={"Size": "L", "Colour": "blue"}),
                    replace(TEE, sku="TEE-X", options={"Colour": "blue", "Size": "L"}),
                )
            },
            ("DUPLICATE_OPTIONS", "variants[1].options"),
        ),
        (
            {"variants": (replace(TEE, options={}), replace(TEE, sku="TEE-M", options={}))},
            ("DUPLICATE_OPTIONS", "variants[1].options"),
        ),
        ({"state": ARCHIVED}, ("ARCHIVED", "state")),
    ],
)
def test_what_blocks_publishing(changed: dict[str, object], issue: tuple[str, str]) -> None:
    unready = replace(product(), **changed)  # type: ignore[arg-type]
    blocking, _ = readiness(unready)
    assert [(each.code, each.field) for each in blocking] == [issue]


@pytest.mark.parametrize("decide", [publish, publish_later])
def test_what_blocks_gates_publishing_and_scheduling(decide: Decision) -> None:
    free = replace(TEE, price=Money("EUR", 0))
    with pytest.raises(ProductNotReady) as refused:
        decide(product(DRAFT, free, replace(free, sku="TEE-M")), NOW)
    assert refused.value.metadata == {"product_id": "p", "issues": "PRICE_ZERO,DUPLICATE_OPTIONS"}
    assert [(each.type, each.subject) for each in refused.value.preconditions] == [
        ("PRICE_ZERO", "variants[0].price"),
        ("PRICE_ZERO", "variants[1].price"),
        ("DUPLICATE_OPTIONS", "variants[1].options"),
    ]


@pytest.mark.parametrize(
    ("changed", "issue"),
    [
        ({"images": ()}, ("NO_IMAGE", "images")),
        ({"description": " \n"}, ("NO_DESCRIPTION", "description")),
        ({"variants": (replace(TEE, barcode=""),)}, ("NO_BARCODE", "variants[0].barcode")),
        (
            {"variants": (replace(TEE, compare_at_price=Money("EUR", 1990)),)},
            ("COMPARE_AT_NOT_HIGHER", "variants[0].compare_at_price"),
        ),
        ({"variants": (replace(TEE, cost=Money("EUR", 1991)),)}, ("COST_ABOVE_PRICE", "variants[0].cost")),
    ],
)
def test_what_is_only_advisable(changed: dict[str, object], issue: tuple[str, str]) -> None:
    lacking = replace(product(), **changed)  # type: ignore[arg-type]
    blocking, warnings = readiness(lacking)
    assert not blocking
    assert [(each.code, each.field) for each in warnings] == [issue]


def test_a_product_that_lacks_nothing() -> None:
    former, cost = Money("EUR", 2490), Money("USD", 999_999)  # a cost in another currency cannot be compared
    assert readiness(product(DRAFT, replace(TEE, compare_at_price=former, cost=cost))) == ([], [])


def test_a_picture_of_a_variant_is_a_picture() -> None:
    assert readiness(replace(product(DRAFT, replace(TEE, image_url="https://shop.example/l.jpg")), images=())) == (
        [],
        [],
    )


def test_an_edit_changes_what_it_names() -> None:
    was = product()
    edited = decide_update(was, ProductEdit(title="Best tee", tags=("new",)), NOW)
    assert edited == replace(was, title="Best tee", tags=("new",), update_time=NOW)
    assert change_event(was, edited) == "product.updated"


def test_an_edit_that_changes_nothing_is_none() -> None:
    was = product()
    assert decide_update(was, ProductEdit(title="Tee", variants=(replace(TEE),)), NOW) is was


def test_a_handle_stays_when_it_is_made_empty() -> None:
    assert decide_update(product(), ProductEdit(handle=""), NOW).handle == "tee"


def test_a_published_product_must_stay_ready() -> None:
    with pytest.raises(ProductNotReady):
        decide_update(product(PUBLISHED), ProductEdit(variants=()), NOW)
    assert decide_update(product(UNPUBLISHED), ProductEdit(variants=()), NOW).variants == ()


@pytest.mark.parametrize("create", [True, False])
def test_a_sku_is_named_once(create: bool) -> None:
    edit = ProductEdit(title="Tee", variants=(TEE, replace(TEE, sku="TEE-M"), replace(TEE, title="again")))
    with pytest.raises(SkuTaken) as refused:
        decide_creation("p", edit, NOW) if create else decide_update(product(), edit, NOW)
    assert refused.value.metadata == {"sku": "TEE-L", "field": "product.variants[2].sku"}


def test_a_new_product_is_a_draft() -> None:
    created = decide_creation("p", ProductEdit(title="Tee"), NOW)
    assert created == Product("p", "", "Tee", DRAFT, NOW, NOW)
    assert change_event(None, created) == "product.created"


def test_an_etag_is_compared_when_it_is_sent() -> None:
    require_product_etag(product(), "")
    require_product_etag(product(), "3")
    with pytest.raises(EtagMismatch) as refused:
        require_product_etag(product(), "2")
    assert refused.value.metadata["etag"] == "3"


@pytest.mark.parametrize(
    ("title", "handle"),
    [
        ("Tee", "tee"),
        ("  Crème brûlée – 500 ml!  ", "creme-brulee-500-ml"),
        ("Men's Straße Ærø Łódź", "mens-strasse-aero-lodz"),
        ("A/B_C--D", "a-b-c-d"),
        ("½ Liter ℡ ﬁne", "1-2-liter-tel-fine"),
        ("İstanbul", "istanbul"),
        ("茶碗", "茶碗"),
        ("日本語の本", "日本語の本"),
        ("Кружка синяя №5", "кружка-синяя-no5"),
        ("कॉफ़ी मग", "कॉफ़ी-मग"),
        ("ガラス ｶﾞﾗｽ", "ガラス-ガラス"),
        ("Ærø カップ é", "aero-カップ-e"),
        ("!!!", "product"),
    ],
)
def test_a_handle_is_made_from_the_title(title: str, handle: str) -> None:
    assert handle_from(title) == handle


def test_a_long_title_makes_a_handle_with_room_for_a_number() -> None:
    assert handle_from("a" * 189 + " " + "b" * 100) == "a" * 189
    assert len(handle_from("x" * 300)) == 190


def test_the_memory_of_texts_is_counted_by_what_their_characters_take() -> None:
    plain, wide = product(), replace(product(), description="\N{SHOPPING TROLLEY}" * 102_400)
    assert kibibytes(replace(plain, description="x" * 102_400)) == kibibytes(plain) + 100
    assert kibibytes(plain) + 400 <= kibibytes(wide) <= kibibytes(plain) + 401
