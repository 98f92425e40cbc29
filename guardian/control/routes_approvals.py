"""`/v1/approvals`: acts that wait for a second person."""

from fastapi import APIRouter

router = APIRouter(prefix="/v1/approvals", tags=["approvals"])
