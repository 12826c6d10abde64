"""Outcomes of items: ingested, duplicate, refused, failed or in quarantine."""

from dataclasses import replace

from petsearch.domain import Item, ItemStatus, Outcome, image_id_of
from petsearch.observability import get_logger
from petsearch.ports import Stage

log = get_logger(__name__)

DELETED = "It was deleted meanwhile."


def outcome_of(item: Item, status: ItemStatus, reason: str | None = None) -> Outcome:
    """The outcome of an item."""
    has_image = status in (ItemStatus.INGESTED, ItemStatus.DUPLICATE)
    return Outcome(
        item_no=item.item_no,
        filename=item.metadata.filename,
        status=status,
        image_id=image_id_of(item.sha256) if has_image else None,
        reason=reason,
        warnings=item.warnings,
    )


def failed_outcome(item: Item, stage: Stage, error: Exception, *, attempts: int = 1) -> Outcome:
    """The outcome of an item that failed in a step; a retry may succeed."""
    log.error("item failed", item_no=item.item_no, stage=stage.value, exc_info=error)
    return replace(
        outcome_of(item, ItemStatus.FAILED, str(error) or type(error).__name__),
        stage=stage.value,
        error=type(error).__name__,
        attempts=attempts,
    )


def quarantine_outcome(item: Item, attempts: int) -> Outcome:
    """The outcome of an item that killed its worker `attempts` times; only a retry runs it."""
    log.error("item quarantined", item_no=item.item_no, attempts=attempts)
    reason = f"Its worker died {attempts} times while it processed this file."
    return replace(
        outcome_of(item, ItemStatus.FAILED, reason),
        stage=Stage.QUARANTINE.value,
        error="WorkerLost",
        attempts=attempts,
    )
