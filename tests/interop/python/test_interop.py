"""PyJWT and grpcio, which know nothing of us: what they accept and what is refused."""

import base64
import hashlib
import hmac
import http.server
import json
import threading
import time
import unittest
import urllib.request
import uuid

import grpc
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from google.protobuf import descriptor_pool, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from latchkey import CartService, Latchkey

CART = "latchkey.cart.v1.CartService"
PROFILE = "latchkey.profile.v1.ProfileService"
TIMEOUT_SECONDS = 10
PASSWORD = "seven purple teapots"


class Client:
    """A service as its own reflection describes it."""

    def __init__(self, address):
        self.channel = grpc.insecure_channel(address)
        self.database = ProtoReflectionDescriptorDatabase(self.channel)
        self.pool = descriptor_pool.DescriptorPool(self.database)

    def close(self):
        self.channel.close()

    def call(self, service, method, authorization=(), **fields):
        """Calls with each of the `authorization` values as metadata."""
        described = self.pool.FindServiceByName(service).FindMethodByName(method)
        request = message_factory.GetMessageClass(described.input_type)(**fields)
        answer = message_factory.GetMessageClass(described.output_type)
        rpc = self.channel.unary_unary(
            f"/{service}/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answer.FromString,
        )
        metadata = [("authorization", value) for value in authorization]
        return rpc(request, metadata=metadata, timeout=TIMEOUT_SECONDS)


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unverified(token):
    return jwt.get_unverified_header(token), jwt.decode(token, options={"verify_signature": False})


def joined(header, claims, signature=b""):
    """Three parts as they are given, signed or not."""
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), signature]
    return ".".join(base64url(part) for part in parts)


def hmac_signed(header, claims, secret):
    """PyJWT itself refuses a public key as an HMAC secret, so this is done by hand."""
    head = joined(header, claims).rstrip(".")
    return f"{head}.{base64url(hmac.new(secret, head.encode(), hashlib.sha256).digest())}"


class Refusals:
    """How to show that a door stays shut."""

    def refused(self, client, *authorization, service=CART, method="GetCart"):
        with self.assertRaises(grpc.RpcError) as caught:
            client.call(service, method, authorization)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.UNAUTHENTICATED)


class OurTokens(Refusals, unittest.TestCase):
    """Tokens of a running `latchkey`."""

    @classmethod
    def setUpClass(cls):
        cls.latchkey = Latchkey()
        cls.addClassCleanup(cls.latchkey.stop)
        cls.cart = Client(cls.latchkey.ports["cart"])
        cls.addClassCleanup(cls.cart.close)
        cls.profile = Client(cls.latchkey.ports["profile"])
        cls.addClassCleanup(cls.profile.close)
        cls.token = cls.latchkey.token("cart-service")
        cls.header, cls.claims = unverified(cls.token)
        cls.jwks = json.loads(urllib.request.urlopen(cls.latchkey.jwks_url).read())
        cls.jwk = next(key for key in cls.jwks["keys"] if key["kid"] == cls.header["kid"])

    def test_pyjwt_verifies_from_the_jwks(self):
        key = jwt.PyJWKClient(self.latchkey.jwks_url).get_signing_key_from_jwt(self.token)
        claims = jwt.decode(
            self.token, key, algorithms=["EdDSA"], audience="cart-service", issuer=self.claims["iss"],
            options={"require": ["exp", "iat", "iss", "aud", "sub", "sid", "jti", "client_id"]},
        )
        self.assertTrue(claims["sub"].startswith("gst_"))
        self.assertLessEqual(claims["exp"] - claims["iat"], 300)
        self.assertEqual(self.header["typ"], "at+jwt")

    def test_pyjwt_refuses_it_for_another_audience_or_issuer(self):
        key = jwt.PyJWK(self.jwk)
        with self.assertRaises(jwt.InvalidAudienceError):
            jwt.decode(self.token, key, algorithms=["EdDSA"], audience="profile-service")
        with self.assertRaises(jwt.InvalidIssuerError):
            jwt.decode(self.token, key, algorithms=["EdDSA"], audience="cart-service", issuer="https://elsewhere.example")

    def test_the_jwks_holds_nothing_private(self):
        for key in self.jwks["keys"]:
            self.assertFalse(set(key) & {"d", "p", "q", "dp", "dq", "qi", "k"})

    def test_reflection_and_health_are_open_and_name_the_services(self):
        self.assertIn(CART, self.cart.database.get_services())
        self.assertIn(PROFILE, self.profile.database.get_services())

    def test_grpcio_fills_a_cart(self):
        bearer = [f"Bearer {self.latchkey.token('cart-service')}"]
        products = self.cart.call(CART, "ListProducts", bearer).products
        added = self.cart.call(CART, "AddItem", bearer, sku=products[0].sku, quantity=3).cart
        self.assertEqual(added.item_count, 3)
        self.assertEqual(added.total_minor, 3 * products[0].unit_price_minor)
        self.assertEqual(self.cart.call(CART, "GetCart", bearer).cart, added)
        with self.assertRaises(grpc.RpcError) as caught:
            self.cart.call(CART, "AddItem", bearer, sku="no-such-thing", quantity=1)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)

    def test_grpcio_reads_a_profile_and_the_subject_is_the_tokens(self):
        token = self.latchkey.token("profile-service")
        profile = self.profile.call(PROFILE, "GetProfile", [f"Bearer {token}"]).profile
        self.assertEqual(profile.subject, unverified(token)[1]["sub"])

    def test_a_persons_token_comes_from_their_password(self):
        email = f"{uuid.uuid4()}@example.org"
        origin = f"http://localhost:{self.latchkey.ports['gateway'].rpartition(':')[2]}"
        request = urllib.request.Request(
            f"{origin}/auth/register",
            data=json.dumps({"email": email, "password": PASSWORD}).encode(),
            headers={"content-type": "application/json", "origin": origin},
        )
        subject = json.loads(urllib.request.urlopen(request).read())["user"]["subject"]
        token = self.latchkey.token("profile-service", "--email", email, "--password-stdin", password=PASSWORD)
        self.assertEqual(unverified(token)[1]["sub"], subject)
        with self.assertRaises(RuntimeError):
            self.latchkey.token("profile-service", "--email", email, "--password-stdin", password="wrong password")

    def test_refuses_what_is_not_one_bearer_token(self):
        bearer = f"Bearer {self.token}"
        cases = {
            "nothing": [], "empty": [""], "no token": ["Bearer"], "no scheme": [self.token],
            "basic": [f"Basic {self.token}"], "duplicated": [bearer, bearer], "joined": [f"{bearer},{bearer}"],
            "text": ["Bearer nonsense"], "two parts": [bearer.rpartition(".")[0]],
        }
        for name, values in cases.items():
            with self.subTest(name):
                self.refused(self.cart, *values)

    def test_refuses_another_services_token(self):
        self.refused(self.profile, f"Bearer {self.token}", service=PROFILE, method="GetProfile")

    def test_refuses_alg_none(self):
        for algorithm in ["none", "None", "NONE", "nOnE"]:
            with self.subTest(algorithm):
                self.refused(self.cart, f"Bearer {joined({**self.header, 'alg': algorithm}, self.claims)}")
        self.refused(self.cart, f"Bearer {jwt.encode(self.claims, None, algorithm='none', headers={'typ': 'at+jwt'})}")

    def test_refuses_hs256_with_the_public_key(self):
        raw = base64.urlsafe_b64decode(self.jwk["x"] + "=")
        key = ed25519.Ed25519PublicKey.from_public_bytes(raw)
        secrets = {
            "raw": raw, "base64url": self.jwk["x"].encode(), "jwk": json.dumps(self.jwk).encode(),
            "pem": key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            "der": key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
            "ssh": key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
        }
        for name, secret in secrets.items():
            with self.subTest(name):
                forged = hmac_signed({**self.header, "alg": "HS256"}, self.claims, secret)
                self.refused(self.cart, f"Bearer {forged}")

    def test_refuses_other_keys(self):
        stranger = ed25519.Ed25519PrivateKey.generate()
        for name, kid in {"our kid": self.header["kid"], "its own kid": "stranger"}.items():
            with self.subTest(name):
                forged = jwt.encode(self.claims, stranger, "EdDSA", headers={**self.header, "kid": kid})
                self.refused(self.cart, f"Bearer {forged}")
        elliptic = ec.generate_private_key(ec.SECP256R1())
        forged = jwt.encode(self.claims, elliptic, "ES256", headers={**self.header, "alg": "ES256"})
        self.refused(self.cart, f"Bearer {forged}")

    def test_refuses_every_tampered_part(self):
        head, body, signature = self.token.split(".")
        claims = {**self.claims, "sub": f"usr_{uuid.uuid4()}"}
        flipped = bytearray(base64.urlsafe_b64decode(signature + "=="))
        flipped[10] ^= 1
        cases = {
            "header": f"{joined({**self.header, 'x': 1}, {}).split('.')[0]}.{body}.{signature}",
            "claims": f"{head}.{base64url(json.dumps(claims).encode())}.{signature}",
            "signature": f"{head}.{body}.{base64url(bytes(flipped))}",
            "no signature": f"{head}.{body}.",
        }
        for name, token in cases.items():
            with self.subTest(name):
                self.refused(self.cart, f"Bearer {token}")


class PyjwtAsIssuer(Refusals, unittest.TestCase):
    """cart-service with a JWKS of PyJWT's: rightly signed tokens with one thing wrong."""

    @classmethod
    def setUpClass(cls):
        cls.key = ed25519.Ed25519PrivateKey.generate()
        cls.kid = "made-in-python"
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), cls.jwks_handler())
        threading.Thread(target=server.serve_forever, daemon=True).start()
        cls.addClassCleanup(server.server_close)
        cls.addClassCleanup(server.shutdown)
        cls.issuer = f"http://127.0.0.1:{server.server_port}"
        service = CartService(cls.issuer, f"{cls.issuer}/.well-known/jwks.json")
        cls.addClassCleanup(service.stop)
        cls.cart = Client(service.address)
        cls.addClassCleanup(cls.cart.close)

    @classmethod
    def jwks_handler(cls):
        public = cls.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        jwk = {"kty": "OKP", "crv": "Ed25519", "x": base64url(public), "kid": cls.kid, "use": "sig", "alg": "EdDSA"}
        document = json.dumps({"keys": [jwk]}).encode()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(document)))
                self.end_headers()
                self.wfile.write(document)

            def log_message(self, *_):
                pass

        return Handler

    def claims(self, **changes):
        now = int(time.time())
        claims = {
            "iss": self.issuer, "aud": "cart-service", "sub": f"gst_{uuid.uuid4()}", "sid": str(uuid.uuid4()),
            "client_id": "gateway", "iat": now, "exp": now + 60, "jti": str(uuid.uuid4()), "scope": "",
        } | changes
        return {name: value for name, value in claims.items() if value is not None}

    def bearer(self, claims, **header):
        head = {"alg": "EdDSA", "typ": "at+jwt", "kid": self.kid} | header
        head = {name: value for name, value in head.items() if value is not None}
        # By hand, since PyJWT will not sign some of what a forger would.
        signing_input = joined(head, claims).rstrip(".")
        return f"Bearer {signing_input}.{base64url(self.key.sign(signing_input.encode()))}"

    def test_accepts_what_pyjwt_signs_right(self):
        token = jwt.encode(self.claims(), self.key, "EdDSA", headers={"typ": "at+jwt", "kid": self.kid})
        self.cart.call(CART, "GetCart", [f"Bearer {token}"])
        self.cart.call(CART, "GetCart", [self.bearer(self.claims())])

    def test_refuses_wrong_times(self):
        now = int(time.time())
        cases = {
            "expired": {"iat": now - 120, "exp": now - 60}, "not yet": {"nbf": now + 60},
            "issued later": {"iat": now + 60, "exp": now + 120}, "no expiry": {"exp": None}, "no iat": {"iat": None},
            "text": {"exp": str(now + 60)}, "true": {"exp": True}, "list": {"exp": [now + 60]},
            "negative": {"exp": -1}, "huge": {"exp": 2**64}, "text nbf": {"nbf": "0"},
        }
        self.refused_each(cases)

    def test_refuses_wrong_names(self):
        cases = {
            "issuer": {"iss": f"{self.issuer}/"}, "no issuer": {"iss": None}, "issuer list": {"iss": [self.issuer]},
            "audience": {"aud": "profile-service"}, "no audience": {"aud": None}, "empty audience": {"aud": ""},
            "prefix": {"aud": "cart"}, "longer": {"aud": "cart-service-2"}, "wildcard": {"aud": "*"},
            "no subject": {"sub": None}, "number subject": {"sub": 7}, "no jti": {"jti": None}, "object aud": {"aud": {}},
        }
        self.refused_each(cases)

    def refused_each(self, cases):
        for name, changes in cases.items():
            with self.subTest(name):
                self.refused(self.cart, self.bearer(self.claims(**changes)))

    def test_refuses_wrong_headers(self):
        cases = {
            "JWT": {"typ": "JWT"}, "no type": {"typ": None}, "no kid": {"kid": None}, "other kid": {"kid": "other"},
            "number kid": {"kid": 1}, "crit": {"crit": ["exp"]}, "empty crit": {"crit": []}, "eddsa": {"alg": "eddsa"},
            "nested": {"cty": "JWT"}, "path kid": {"kid": "../../etc/passwd"},
        }
        for name, header in cases.items():
            with self.subTest(name):
                self.refused(self.cart, self.bearer(self.claims(), **header))

    def test_a_storm_of_unknown_kids_changes_nothing_for_the_honest(self):
        for n in range(50):
            self.refused(self.cart, self.bearer(self.claims(), kid=f"random-{n}"))
        self.cart.call(CART, "GetCart", [self.bearer(self.claims())])


if __name__ == "__main__":
    unittest.main()
