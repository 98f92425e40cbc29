"""Scored events as date- and tenant-partitioned Parquet: years of decisions that any lake engine can read.

    ROOT/events/date=2026-05-12/tenant=tenant_acme/NAME.parquet     one row a decision, with its verdict
    ROOT/labels/NAME.parquet                                        what people said of sessions
    ROOT/archive.id                                                 which archive it is, also where it is copied

Files appear whole or not at all and are never changed. A crash can leave a decision in two files, never in none,
and readers count it once: its identity is (tenant, gateway, decision id, digest).
"""
