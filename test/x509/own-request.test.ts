/** Signing requests: made for openssl to read, read as openssl made them, and mutilated. */
import { spawnSync } from 'node:child_process'
import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { makeRequest } from '../../src/x509/csr.ts'
import { DerError } from '../../src/x509/der.ts'
import { readRequest } from '../../src/x509/own-request.ts'
import { pemOf } from '../../src/x509/pem.ts'
import { absent, clientFile } from '../run/clients.ts'
import { ecPair } from './pki.ts'

const names = {
  dnsNames: ['a.node.gatehouse', 'server.gatehouse'],
  addresses: ['10.0.0.1', 'fd00::1'],
  uris: ['gatehouse://c/server/a'],
}
const content = { subject: [['CN', 'node-1']] as const, names }

function openssl(...words: string[]): string {
  const { status, stdout, stderr } = spawnSync(clientFile('openssl'), words, { encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
  return stdout
}

const needsOpenssl = { skip: absent('openssl') }

t.test('what we make, openssl reads', needsOpenssl, async t => {
  const file = path.join(t.testdir(), 'request.pem')
  const { privateKey, publicKey } = ecPair()
  const der = makeRequest(content, privateKey)
  writeFileSync(file, pemOf('CERTIFICATE REQUEST', der))
  const text = openssl('req', '-in', file, '-noout', '-verify', '-text')
  t.match(text, /CN ?= ?node-1/)
  t.match(text, /DNS:a.node.gatehouse, DNS:server.gatehouse, IP Address:10.0.0.1/)
  t.match(text, /IP Address:FD00:0:0:0:0:0:0:1, URI:gatehouse:\/\/c\/server\/a/)
  const { publicKey: read, commonNames, dnsNames, addresses, uris } = readRequest(der)
  t.ok(read.equals(publicKey))
  t.same({ commonNames, dnsNames, addresses, uris }, { ...names, commonNames: ['node-1'] })
})

t.test('what openssl makes, we read', needsOpenssl, async t => {
  const folder = t.testdir()
  const keys: Record<string, string[]> = {
    ec: ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
    'ec-384': ['ec', '-pkeyopt', 'ec_paramgen_curve:P-384', '-sha384'],
    rsa: ['rsa:2048'],
    ed25519: ['ed25519'],
  }
  for (const [name, [type = '', ...more]] of Object.entries(keys)) {
    const [key, out] = [path.join(folder, `${name}-key.pem`), path.join(folder, `${name}.der`)]
    const words = [
      '-newkey',
      type,
      ...more,
      '-nodes',
      '-keyout',
      key,
      '-outform',
      'DER',
      '-out',
      out,
    ]
    const names = 'subjectAltName=DNS:web.example,IP:192.0.2.7,URI:https://web.example/x'
    openssl('req', '-new', ...words, '-subj', '/CN=web', '-addext', names)
    const read = readRequest(readFileSync(out))
    t.same(read.dnsNames, ['web.example'], name)
    t.same(read.addresses, ['192.0.2.7'], name)
    t.same(read.uris, ['https://web.example/x'], name)
    t.ok(read.publicKey.equals(createPublicKey(readFileSync(key))), name)
    openssl('req', '-new', '-key', key, '-outform', 'DER', '-out', out, '-subj', '/CN=bare')
    t.match(readRequest(readFileSync(out)), { commonNames: ['bare'], dnsNames: [] }, name)
  }
})

t.test('what asks for more than names is refused', needsOpenssl, async t => {
  const folder = t.testdir()
  const [key, out] = [path.join(folder, 'key.pem'), path.join(folder, 'out.der')]
  openssl('genpkey', '-algorithm', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', key)
  const cases: [string[], RegExp][] = [
    [['-addext', 'basicConstraints=critical,CA:TRUE'], /extension that is not known/],
    [
      ['-addext', 'subjectAltName=DNS:a', '-addext', 'keyUsage=keyCertSign'],
      /another number of parts/,
    ],
    [['-addext', 'subjectAltName=email:a@b.example'], /kind of name/],
    [['-addext', 'subjectAltName=otherName:1.2.3;UTF8:x'], /kind of name/],
    [['-subj', '/CN=a/O=b'], /more than a common name/],
    [['-subj', '/CN=a+O=b', '-multivalue-rdn'], /another number of parts/],
  ]
  for (const [words, fault] of cases) {
    const subject = words.includes('-subj') ? [] : ['-subj', '/CN=a']
    openssl('req', '-new', '-key', key, '-outform', 'DER', '-out', out, ...subject, ...words)
    t.throws(() => readRequest(readFileSync(out)), fault, words.join(' '))
  }
})

t.test('a request signed by another key', async t => {
  const [own, other] = [ecPair(), ecPair()]
  const der = makeRequest(content, own.privateKey)
  const swapped = Buffer.from(
    der
      .toString('latin1')
      .replace(
        own.publicKey.export({ type: 'spki', format: 'der' }).toString('latin1'),
        other.publicKey.export({ type: 'spki', format: 'der' }).toString('latin1'),
      ),
    'latin1',
  )
  t.notSame(swapped, der)
  t.throws(() => readRequest(swapped), /not signed by its own key/)
})

t.test('mutilated: every byte changed, cut anywhere, always a DerError', async t => {
  for (const { privateKey } of [ecPair(), generateKeyPairSync('ed25519')]) {
    const der = makeRequest(content, privateKey)
    let refused = 0
    for (let at = 0; at < der.length; at++) {
      const mutants = [0x01, 0x80, 0xff].map(mask => {
        const copy = Buffer.from(der)
        copy[at] = copy[at]! ^ mask
        return copy
      })
      for (const mutant of [
        ...mutants,
        der.subarray(0, at),
        Buffer.concat([der, der.subarray(at)]),
      ]) {
        try {
          readRequest(mutant)
          t.fail(`changed at ${at}, taken`)
        } catch (error) {
          if (!(error instanceof DerError)) throw error
          refused++
        }
      }
    }
    t.equal(refused, der.length * 5)
  }
})
