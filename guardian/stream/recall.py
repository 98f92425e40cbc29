"""Between the store's rows and the pipeline's values."""

from guardian.domain.batch import AgentKey, DecisionKey, Memory, PurposeKey, TaskKey
from guardian.store.monitor_values import Recall


def memory_of(recall: Recall) -> Memory:
    """The snapshot as the pipeline reads it."""
    return Memory(
        sessions=recall.sessions,
        seen={DecisionKey(*key): digest for key, digest in recall.seen.items()},
        baselines={PurposeKey(*key): fact for key, fact in recall.baselines.items()},
        agent_purposes={AgentKey(*key): purposes for key, purposes in recall.agent_purposes.items()},
        task_reads={TaskKey(*key): reads for key, reads in recall.task_reads.items()},
        registered=recall.registered,
    )
