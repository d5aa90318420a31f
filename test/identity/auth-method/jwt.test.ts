/**
 * The auth method `jwt`, as tables: what may be written, and what claims make of a login.
 */
import { generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import { Refusal } from '../../../src/base/errors.ts'
import {
  blankIdentity,
  claimsProblem,
  identityFrom,
  readJwtConfig,
} from '../../../src/identity/auth-method/jwt.ts'
import { ALL_ALGORITHMS } from '../../../src/identity/auth-method/key.ts'
import { type AuthMethodFields, readAuthMethod } from '../../../src/identity/auth-method/method.ts'
import { testCertificate, testKey } from '../../checks/certificate.ts'
import { configOf, good, NOW_MS, p256, rsa } from './tokens.ts'

const HERE = { JWTValidationPubKeys: [rsa.pem] }
const THERE = { JWKSURL: 'https://issuer/keys' }
const FOUND = { OIDCDiscoveryURL: 'https://issuer' }
const ONE_OF =
  "exactly one of 'JWTValidationPubKeys', 'JWKSURL', or 'OIDCDiscoveryURL' must be set " +
  'for type "jwt"'

t.test('what a configuration may not say', async t => {
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 1_024 })
  const weak = publicKey.export({ type: 'spki', format: 'pem' }).toString()
  const cases: [object, string | RegExp][] = [
    [{}, ONE_OF],
    [{ ...HERE, ...THERE }, ONE_OF],
    [{ ...FOUND, ...THERE }, ONE_OF],
    [{ ...HERE, OIDCClientID: 'x' }, "error decoding config: '' has invalid keys: OIDCClientID"],
    [{ ...HERE, constructor: 'x' }, "error decoding config: '' has invalid keys: constructor"],
    [{ ...HERE, BoundIssuer: 7 }, "error decoding config: 'BoundIssuer' is not a string"],
    [
      { ...HERE, BoundAudiences: [7] },
      "error decoding config: 'BoundAudiences' is not a list of strings",
    ],
    [
      { ...HERE, ClaimMappings: ['x'] },
      "error decoding config: 'ClaimMappings' is not a map of strings",
    ],
    [
      { ...HERE, ClockSkewLeeway: 'long' },
      "error decoding config: 'ClockSkewLeeway' is not a duration",
    ],
    [
      { ...HERE, boundissuer: 'a', BoundIssuer: 'b' },
      "error decoding config: 'BoundIssuer' is given twice",
    ],
    [{ ...HERE, JWTSupportedAlgs: ['HS256'] }, 'Invalid supported algorithm: HS256'],
    [{ ...HERE, JWTSupportedAlgs: ['none'] }, 'Invalid supported algorithm: none'],
    [{ ...HERE, JWTSupportedAlgs: ['EdDSA'] }, 'Invalid supported algorithm: EdDSA'],
    [
      { ...HERE, ClaimMappings: { a: 'x', b: 'x' } },
      'ClaimMappings contains multiple mappings for key "x"',
    ],
    [
      { ...HERE, ListClaimMappings: { a: 'x', b: 'x' } },
      'ListClaimMappings contains multiple mappings for key "x"',
    ],
    [
      { ...HERE, JWKSCACert: testCertificate },
      "'JWKSCACert' should not be set unless 'JWKSURL' is set",
    ],
    [
      { ...THERE, OIDCDiscoveryCACert: testCertificate },
      "'OIDCDiscoveryCACert' should not be set unless 'OIDCDiscoveryURL' is set",
    ],
    [
      { ...THERE, JWKSCACert: 'x' },
      'error checking JWKSCACert: could not parse CA PEM value successfully',
    ],
    [{ JWKSURL: 'ftp://issuer' }, 'error checking JWKSURL: it is no http or https URL'],
    [{ JWKSURL: 'file:///etc/passwd' }, 'error checking JWKSURL: it is no http or https URL'],
    [{ OIDCDiscoveryURL: 'issuer' }, 'error checking OIDCDiscoveryURL: it is no http or https URL'],
    [
      { JWKSURL: 'https://u:p@issuer' },
      'error checking JWKSURL: credentials do not belong into it',
    ],
    [
      { JWTValidationPubKeys: [rsa.pem, 'x'] },
      /^error parsing public key JWTValidationPubKeys\[1\]: data does not contain any valid/,
    ],
    [
      { JWTValidationPubKeys: [testKey] },
      'error parsing public key JWTValidationPubKeys[0]: it is a private key',
    ],
    [
      { JWTValidationPubKeys: [weak] },
      'error parsing public key JWTValidationPubKeys[0]: an RSA key needs 2048 bits',
    ],
  ]
  for (const [given, problem] of cases) {
    const read = readJwtConfig(given as Record<string, unknown>)
    const text = typeof read === 'string' ? read : 'taken'
    if (typeof problem === 'string') t.equal(text, problem)
    else t.match(text, problem)
  }
})

t.test('what a configuration says where it says nothing', async t => {
  const plain = configOf()
  t.match(plain, {
    expirationLeewayMs: 150_000,
    notBeforeLeewayMs: 150_000,
    clockSkewLeewayMs: 60_000,
  })
  t.same(plain.algorithms, ALL_ALGORITHMS)
  t.same(configOf(FOUND).algorithms, ['RS256'])
  t.same(configOf({ ...FOUND, JWTSupportedAlgs: ['ES256'] }).algorithms, ['ES256'])
  const off = configOf({ ExpirationLeeway: '-1s', NotBeforeLeeway: -1e9, ClockSkewLeeway: -1 })
  t.match(off, { expirationLeewayMs: 0, notBeforeLeewayMs: 0, clockSkewLeewayMs: 0 })
  t.match(configOf({ clockskewleeway: '5s', EXPIRATIONLEEWAY: 7e9 }), {
    clockSkewLeewayMs: 5_000,
    expirationLeewayMs: 7_000,
  })
  t.equal(configOf({ ...THERE, JWKSCACert: testCertificate }).place.kind, 'set')
  const keys = configOf({ JWTValidationPubKeys: [testCertificate, p256.pem] }).place
  t.equal(keys.kind === 'here' && keys.keys.length, 2)
  t.same(configOf({ BoundAudiences: 'one' }).boundAudiences, ['one'])
})

t.test('claims and what they are called here', async t => {
  const config = configOf({
    ClaimMappings: {
      sub: 'user',
      '/org/team': 'team',
      '/a~1b/0': 'first',
      'https://x/y': 'url',
      n: 'number',
      b: 'bool',
      missing: 'missing',
      constructor: 'none',
    },
    ListClaimMappings: { groups: 'groups', one: 'one', gone: 'gone' },
  })
  const claims = {
    sub: 'ann',
    org: { team: 'pay' },
    'a/b': ['zero'],
    'https://x/y': 'u',
    n: -12.9,
    b: false,
    groups: ['a', '', 7, true],
    one: 'x',
  }
  t.same(identityFrom(config, claims), {
    values: {
      user: 'ann',
      team: 'pay',
      first: 'zero',
      url: 'u',
      number: '-12',
      bool: 'false',
      missing: '',
      none: '',
    },
    lists: { groups: ['a', '7', 'true'], one: ['x'], gone: [] },
    variables: new Map([
      ['value.user', 'ann'],
      ['value.team', 'pay'],
      ['value.first', 'zero'],
      ['value.url', 'u'],
      ['value.number', '-12'],
      ['value.bool', 'false'],
      ['value.missing', ''],
      ['value.none', ''],
    ]),
  })
  t.same([...blankIdentity(config).variables.keys()].includes('value.team'), true)
  const wrong = (more: object): unknown => identityFrom(config, more as Record<string, unknown>)
  t.equal(wrong({ sub: {} }), "error converting claim 'sub' to string from unknown type map")
  t.equal(wrong({ sub: ['x'] }), "error converting claim 'sub' to string from unknown type list")
  t.equal(wrong({ n: 1e30 }), "error converting claim 'n' to string from unknown type number")
  t.equal(wrong({ groups: {} }), '"groups" list claim could not be converted to string list')
  t.equal(
    wrong({ groups: [['x']] }),
    'a value in "groups" list claim could not be parsed as string',
  )
})

t.test('a discovery says whose the keys are, and its tokens end', async t => {
  const config = configOf({ ...FOUND, BoundIssuer: '', BoundAudiences: [] })
  const { exp: _exp, ...endless } = good
  const problem = (claims: object): string | undefined =>
    claimsProblem(config, claims as Record<string, unknown>, NOW_MS, 'https://issuer')
  t.equal(problem(good), undefined, 'an audience that nobody bound is not held against it')
  t.match(problem({ ...good, iss: 'https://other' }), /invalid issuer/)
  t.match(problem(endless), /does not expire/)
})

t.test('the fields of any method', async t => {
  const bounds = { minMs: 60_000, maxMs: 86_400_000 }
  const read = (more: Partial<AuthMethodFields>): string => {
    const fields = { name: 'm', type: 'jwt', maxTokenTtlMs: 0, tokenLocality: '', config: HERE }
    const given = readAuthMethod({ ...fields, ...more }, bounds)
    return given instanceof Refusal ? `${given.status} ${given.text}` : 'taken'
  }
  const cases: [Partial<AuthMethodFields>, string][] = [
    [{}, 'taken'],
    [{ maxTokenTtlMs: 60_000, tokenLocality: 'global' }, 'taken'],
    [{ name: '' }, '500 Invalid Auth Method: no Name is set'],
    [
      { name: 'a b' },
      "500 Invalid Auth Method: invalid Name. Only alphanumeric characters, '-' and '_' are allowed",
    ],
    [{ type: 'x' }, '500 Invalid Auth Method: Type should be one of: [aws-iam jwt kubernetes]'],
    [{ type: 'kubernetes' }, '501 not served yet: auth methods of type "kubernetes"'],
    [{ type: 'oidc' }, '501 not served yet: auth methods of type "oidc"'],
    [{ maxTokenTtlMs: 1_000 }, '500 MaxTokenTTL 1s cannot be less than 1m0s'],
    [{ maxTokenTtlMs: 90_000_000 }, '500 MaxTokenTTL 25h0m0s cannot be more than 24h0m0s'],
    [
      { tokenLocality: 'here' },
      "500 Invalid Auth Method: TokenLocality should be one of 'local' or 'global'",
    ],
    [{ config: {} }, `500 Invalid Auth Method: ${ONE_OF}`],
  ]
  for (const [more, text] of cases) t.equal(read(more), text)
})
