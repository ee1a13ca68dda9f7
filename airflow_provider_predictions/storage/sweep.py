"""Remove what attempts have left that nothing names any more."""

from __future__ import annotations

from collections.abc import Collection

from airflow_provider_predictions.storage.attempt import remove_unfinished, tagged
from airflow_provider_predictions.storage.checkpoint import CHECKPOINT
from airflow_provider_predictions.storage.local import UNFINISHED
from airflow_provider_predictions.storage.log import Entry, Log
from airflow_provider_predictions.storage.objects import remove_files


def sweep(log: Log, entry: Entry, unsettled: Collection[int], *, shared: bool) -> list[str]:
    """Remove what attempts left that did not commit, and what no visible manifest can name any more.

    Once a generation has its entry, no other attempt can commit it, however long it was frozen. So all
    that the entry does not name is over. A generation without an entry is never swept.

    The attempt that commits may be frozen before it writes its manifest right under a path, and write it
    over a newer one, months later. So a generation is unsettled, and its parts stay, until the next
    attempt that commits has seen its manifest or a newer one.

    :param entry: of the generation. Right under the path, earlier generations are swept, too.
    :param unsettled: the generations that are.
    :param shared: whether the parts lie right under the path.
    :return: the names of committed objects.
    """
    generation, root = entry.generation, log.root
    others = filter(None, map(log.read, {*unsettled} - {generation}))
    authors = {each.generation: each.nonce for each in (entry, *others)}
    kept, over = [], []
    for name, tag in tagged(root, None if shared else generation, shared=shared):
        is_named = authors.get(int(tag["generation"])) == tag["nonce"]
        if is_named and f"{CHECKPOINT}-" not in name and not name.endswith(UNFINISHED):
            kept.append(name)
        elif int(tag["generation"]) <= generation:
            over.append(name)
    remove_files(root, over)
    remove_unfinished(root, generation)
    return kept
