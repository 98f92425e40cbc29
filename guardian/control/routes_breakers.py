"""`/v1/breakers`: each tenant's circuit breaker."""

from fastapi import APIRouter

router = APIRouter(prefix="/v1/breakers", tags=["breakers"])
