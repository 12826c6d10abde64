"""How what became of an item is said."""

from dataclasses import replace

from petsearch.domain import Item, ItemStatus, Outcome, image_id_of
from petsearch.observability import get_logger
from petsearch.ports import Stage

log = get_logger(__name__)


def outcome_of(item: Item, status: ItemStatus, reason: str | None = None) -> Outcome:
    """What became of an item."""
    has_image = status in (ItemStatus.INGESTED, ItemStatus.DUPLICATE)
    return Outcome(
        item_no=item.item_no,
        filename=item.metadata.filename,
        status=status,
        image_id=image_id_of(item.sha256) if has_image else None,
        reason=reason,
    )


def failed(item: Item, stage: Stage, error: Exception, *, attempts: int = 1) -> Outcome:
    """An item that failed though it may be good: it can be tried again."""
    log.error("item failed", item_no=item.item_no, stage=stage.value, exc_info=error)
    return replace(
        outcome_of(item, ItemStatus.FAILED, str(error) or type(error).__name__),
        stage=stage.value,
        error=type(error).__name__,
        attempts=attempts,
    )


def quarantined(item: Item, attempts: int) -> Outcome:
    """An item that ended its worker so often that it is not tried again by itself."""
    log.error("item put into quarantine", item_no=item.item_no, attempts=attempts)
    reason = f"Its worker ended {attempts} times while it worked on this file."
    return replace(
        outcome_of(item, ItemStatus.FAILED, reason),
        stage=Stage.QUARANTINE.value,
        error="WorkerLost",
        attempts=attempts,
    )
