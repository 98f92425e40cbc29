"""The audit trail's proofs: a Merkle tree over its entries, signed checkpoints, and their verification."""
