"""`/v1/envelopes`: control's own record of what was delegated."""

from fastapi import APIRouter

router = APIRouter(prefix="/v1/envelopes", tags=["envelopes"])
