"""`/v1/break-glass`: one person, for a while, loudly."""

from fastapi import APIRouter

router = APIRouter(prefix="/v1/break-glass", tags=["break-glass"])
