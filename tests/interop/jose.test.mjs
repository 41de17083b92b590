// npm's jose, which knows nothing of us, verifies our tokens from our JWKS; and what
// it forges is refused.

import assert from "node:assert/strict";
import { createPublicKey, randomUUID } from "node:crypto";
import http from "node:http";
import { after, before, test } from "node:test";

import {
  SignJWT, UnsecuredJWT, calculateJwkThumbprint, createRemoteJWKSet, decodeJwt, decodeProtectedHeader,
  exportJWK, generateKeyPair, jwtVerify,
} from "jose";

import { startCartService } from "../harness/parts.mjs";
import { startLatchkey, token } from "../harness/processes.mjs";
import { OK, UNAUTHENTICATED, call } from "./grpc.mjs";

const GET_CART = "/latchkey.cart.v1.CartService/GetCart";
const GET_PROFILE = "/latchkey.profile.v1.ProfileService/GetProfile";

let latchkey;
let jwksUrl;
let cartToken;

before(async () => {
  latchkey = await startLatchkey();
  jwksUrl = new URL(`http://${latchkey.ports.auth_http}/.well-known/jwks.json`);
  cartToken = await token(latchkey.dataDir, "cart-service");
});

after(() => latchkey?.stop());

function bearer(value) {
  return `Bearer ${value}`;
}

/** Signs `claims` as `changes` say, with `key`. */
function sign(claims, header, key) {
  return new SignJWT(claims).setProtectedHeader(header).sign(key);
}

test("jose verifies our token from our JWKS, with every check on", async () => {
  const { payload, protectedHeader } = await jwtVerify(cartToken, createRemoteJWKSet(jwksUrl), {
    algorithms: ["EdDSA"],
    audience: "cart-service",
    issuer: decodeJwt(cartToken).iss,
    requiredClaims: ["iss", "aud", "sub", "sid", "client_id", "iat", "exp", "jti", "scope"],
    typ: "at+jwt",
  });
  assert.match(payload.sub, /^gst_/);
  assert.ok(payload.exp - payload.iat <= 300);
  const { keys } = await (await fetch(jwksUrl)).json();
  const key = keys.find(({ kid }) => kid === protectedHeader.kid);
  assert.equal(await calculateJwkThumbprint(key), key.kid, "kid is the RFC 7638 thumbprint");
  assert.deepEqual([key.kty, key.crv, key.use, key.alg, key.d], ["OKP", "Ed25519", "sig", "EdDSA", undefined]);
});

test("jose refuses it for another audience", async () => {
  await assert.rejects(jwtVerify(cartToken, createRemoteJWKSet(jwksUrl), { audience: "profile-service" }), { code: "ERR_JWT_CLAIM_VALIDATION_FAILED" });
});

test("a service takes its own token and nobody else's", async () => {
  const profileToken = await token(latchkey.dataDir, "profile-service");
  assert.equal(await call(latchkey.ports.cart, GET_CART, bearer(cartToken)), OK);
  assert.equal(await call(latchkey.ports.profile, GET_PROFILE, bearer(profileToken)), OK);
  assert.equal(await call(latchkey.ports.cart, GET_CART, bearer(profileToken)), UNAUTHENTICATED);
  assert.equal(await call(latchkey.ports.profile, GET_PROFILE, bearer(cartToken)), UNAUTHENTICATED);
  assert.equal(await call(latchkey.ports.cart, "/latchkey.cart.v1.CartService/NoSuchMethod"), UNAUTHENTICATED);
});

test("tokens that jose forges from ours are refused", async (t) => {
  const claims = decodeJwt(cartToken);
  const header = decodeProtectedHeader(cartToken);
  const { keys } = await (await fetch(jwksUrl)).json();
  const jwk = keys.find(({ kid }) => kid === header.kid);
  const publicKey = createPublicKey({ key: jwk, format: "jwk" });
  const stranger = await generateKeyPair("EdDSA");
  const strangerJwk = await exportJWK(stranger.publicKey);
  const elliptic = await generateKeyPair("ES256");
  const hs256 = (secret) => sign(claims, { ...header, alg: "HS256" }, secret);
  const [head, body, signature] = cartToken.split(".");
  const otherBody = Buffer.from(JSON.stringify({ ...claims, sub: "usr_00000000-0000-7000-8000-000000000000" })).toString("base64url");

  const forged = {
    "alg none": new UnsecuredJWT(claims).encode(),
    "alg none under our header": `${Buffer.from(JSON.stringify({ ...header, alg: "none" })).toString("base64url")}.${body}.`,
    "HS256 with the public key's bytes": await hs256(Buffer.from(jwk.x, "base64url")),
    "HS256 with the public key's base64url": await hs256(Buffer.from(jwk.x)),
    "HS256 with the public key's PEM": await hs256(Buffer.from(publicKey.export({ type: "spki", format: "pem" }))),
    "HS256 with the public key's DER": await hs256(publicKey.export({ type: "spki", format: "der" })),
    "HS256 with the public key's JWK": await hs256(Buffer.from(JSON.stringify(jwk))),
    "a stranger's key under our kid": await sign(claims, header, stranger.privateKey),
    "a stranger's key and kid": await sign(claims, { ...header, kid: await calculateJwkThumbprint(strangerJwk) }, stranger.privateKey),
    "a stranger's key in the header": await sign(claims, { ...header, jwk: strangerJwk }, stranger.privateKey),
    "ES256 under our kid": await sign(claims, { ...header, alg: "ES256" }, elliptic.privateKey),
    "another body": `${head}.${otherBody}.${signature}`,
    "no signature": `${head}.${body}.`,
    "a cut signature": cartToken.slice(0, -2),
    "four parts": `${cartToken}.${signature}`,
    "padding": `${cartToken}==`,
  };
  for (const [name, value] of Object.entries(forged)) {
    await t.test(name, async () => {
      assert.equal(await call(latchkey.ports.cart, GET_CART, bearer(value)), UNAUTHENTICATED);
    });
  }
});

test("credentials that are not exactly one bearer token are refused", async (t) => {
  // Two headers are Python's to try: node's client will not send them.
  const cases = {
    "nothing": [],
    "an empty bearer": ["Bearer "],
    "no scheme": [cartToken],
    "another scheme": [`Basic ${cartToken}`],
    "two in one": [`${bearer(cartToken)}, ${bearer(cartToken)}`],
    "nine kilobytes": [bearer("a".repeat(9216))],
  };
  for (const [name, values] of Object.entries(cases)) {
    await t.test(name, async () => {
      assert.equal(await call(latchkey.ports.cart, GET_CART, ...values), UNAUTHENTICATED);
    });
  }
});

test("a service whose JWKS is jose's takes what jose signs right, and only that", async (t) => {
  const issuer = await startIssuer();
  t.after(() => issuer.server.close());
  const service = await startCartService(issuer.url, `${issuer.url}/.well-known/jwks.json`);
  t.after(() => service.stop());
  const now = Math.floor(Date.now() / 1000);
  const right = {
    iss: issuer.url, aud: "cart-service", sub: `gst_${randomUUID()}`, sid: randomUUID(), client_id: "gateway",
    iat: now, exp: now + 60, jti: randomUUID(), scope: "",
  };
  const header = { alg: "EdDSA", typ: "at+jwt", kid: issuer.kid };
  const status = async (claims, head = header) =>
    call(service.address, GET_CART, bearer(await sign(claims, head, issuer.privateKey)));

  assert.equal(await status({ ...right, scope: "cart" }), OK);
  const wrong = {
    "expired": [{ ...right, iat: now - 120, exp: now - 60 }],
    "not yet valid": [{ ...right, nbf: now + 60 }],
    "from the future": [{ ...right, iat: now + 60, exp: now + 120 }],
    "another issuer": [{ ...right, iss: "http://elsewhere.example" }],
    "another audience": [{ ...right, aud: "profile-service" }],
    "no audience": [{ ...right, aud: undefined }],
    "no expiry": [{ ...right, exp: undefined }],
    "no subject": [{ ...right, sub: undefined }],
    "a plain JWT": [right, { ...header, typ: "JWT" }],
    "no type": [right, { ...header, typ: undefined }],
    "no kid": [right, { ...header, kid: undefined }],
    "another kid": [right, { ...header, kid: "k" }],
  };
  for (const [name, [claims, head]] of Object.entries(wrong)) {
    await t.test(name, async () => assert.equal(await status(claims, head), UNAUTHENTICATED));
  }
  assert.equal(await status({ ...right, jti: randomUUID() }), OK, "and the right one still opens");
});

/** An issuer made of jose alone: a key and an address that publishes it. */
async function startIssuer() {
  const { publicKey, privateKey } = await generateKeyPair("EdDSA");
  const jwk = await exportJWK(publicKey);
  const kid = await calculateJwkThumbprint(jwk);
  const document = JSON.stringify({ keys: [{ ...jwk, kid, use: "sig", alg: "EdDSA" }] });
  const server = http.createServer((request, response) => {
    response.setHeader("content-type", "application/json");
    response.end(document);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, kid, privateKey, url: `http://127.0.0.1:${server.address().port}` };
}
