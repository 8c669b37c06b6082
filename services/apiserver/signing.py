"""The key of the cluster's service account tokens, and what is proven with it."""

from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from podwire.services.apiserver.core import tokens
from podwire.services.apiserver.core.authorization import Requester
from podwire.services.apiserver.core.decisions import ReviewToken, SignToken
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.store import Store
from podwire.services.apiserver.settings import ApiServerSettings


class TokenKey:
    """Signs tokens and tells whom they prove."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key, self._public = key, key.public_key()

    def _verify(self, signature: bytes, data: bytes) -> bool:
        try:
            self._public.verify(signature, data)
        except InvalidSignature:
            return False
        return True

    def sign(self, decision: SignToken) -> Json:
        """The finished TokenRequest."""
        status = {**decision.result["status"], "token": tokens.write(decision.claims, self._key.sign)}
        return {**decision.result, "status": status}

    def authenticate(self, token: str, store: Store, now: int) -> Requester:
        """The account that a bearer token proves. Raises InvalidToken."""
        return tokens.authenticate(tokens.read(token, self._verify), store, now)[0]

    def review(self, decision: ReviewToken, store: Store, now: int) -> Json:
        """The finished TokenReview."""
        try:
            claims = tokens.read(decision.token, self._verify)
            _, user = tokens.authenticate(claims, store, now, decision.audiences)
        except tokens.InvalidToken as error:
            return {**decision.result, "status": {"user": {}, "error": str(error)}}
        audiences = [name for name in decision.audiences if name in claims["aud"]]
        return {**decision.result, "status": {"authenticated": True, "user": user, "audiences": audiences}}


def token_key(settings: ApiServerSettings) -> TokenKey:
    """The key that the settings name. Raises OSError, ValueError where it is none."""
    if settings.service_account_key_file:
        key = load_pem_private_key(Path(settings.service_account_key_file).read_bytes(), None)
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError(f"{settings.service_account_key_file}: not an Ed25519 key")
        return TokenKey(key)
    return TokenKey(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(settings.service_account_seed)))
