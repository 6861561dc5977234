"""``POST /v1/audio/speech``: text to audio."""

from fastapi import APIRouter

router = APIRouter()
