"""`/v1/policy`: what policy would say, and why."""

from fastapi import APIRouter

router = APIRouter(prefix="/v1/policy", tags=["policy"])
