/**
 * Class 13: a certificate taken for what it is not for, a name that nobody looks at, a switch that
 * is misread and leaves a door open (CVE-2021-37219, CVE-2019-9764, CVE-2018-19653).
 *
 * Every combination of the switches, of what clients show and of versions, on the wire: a listener
 * by the configuration as a file states it, and connections to it. What must come of each is said
 * here in a few lines, apart from the program's own.
 */
import { writeFileSync } from 'node:fs'
import { connect as connectPlain } from 'node:net'
import { join } from 'node:path'
import { type ConnectionOptions, connect } from 'node:tls'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import type { Config } from '../../src/agent/config.ts'
import { loadConfig } from '../../src/agent/config-load.ts'
import { secureOptionsOf } from '../../src/agent/config-tls.ts'
import { HttpListeners } from '../../src/base/io/http-listener.ts'
import { issueCertificate } from '../../src/x509/own.ts'
import { tempFolder } from '../clients/process.ts'
import { boundsOfTests } from '../http/harness.ts'
import { propertyRuns, reached } from '../run/budget.ts'
import { type Ending, endingOf } from '../x509/outcome.ts'
import { contentOf, ecPair, makeAuthority } from '../x509/pki.ts'

const folder = tempFolder(t)
const authority = makeAuthority(folder)
/** The same name, another key. */
const impostor = makeAuthority(tempFolder(t))
const web = authority.issue('web', { uses: ['serverAuth'] })

/** The configuration of a file that holds `text`, as the agent loads it. */
async function configOf(text: string): Promise<Config> {
  const file = join(folder, 'agent.hcl')
  writeFileSync(file, text)
  const loaded = await loadConfig([{ name: 'config-file', value: file }])
  if ('problems' in loaded) throw new Error(loaded.problems.join('\n'))
  return loaded.config
}

interface At {
  readonly host: string
  readonly port: number
}

/** Listens as `text` says while `use` runs; counts the requests that come through. */
async function listening(
  text: string,
  use: (at: At, requests: () => number) => Promise<void>,
): Promise<void> {
  const { tls } = await configOf(text)
  let requests = 0
  const listeners = new HttpListeners(boundsOfTests, (_message, response) => {
    requests++
    response.end('here')
  })
  try {
    const at = await listeners.listen('127.0.0.1', 0, secureOptionsOf(tls.https))
    await use(at, () => requests)
  } finally {
    listeners.cut()
    await listeners.close()
  }
}

const FILES = `ports { https = 8501 }
  ca_file = "${authority.certFile}" cert_file = "${web.certFile}" key_file = "${web.keyFile}"`

type Shown = Pick<ConnectionOptions, 'cert' | 'key'>

/** A leaf that signs as if it were an authority: its key signs, its certificate is in the chain. */
function signedByLeaf(): Shown {
  const leaf = authority.issue('leaf')
  const [leafKeys, ownKeys] = [ecPair(), ecPair()]
  const real = authority.issue('leaf2', { keys: leafKeys })
  const pretended = issueCertificate(
    contentOf('leaf2', leafKeys.publicKey, { isAuthority: true }),
    { certificate: undefined, key: leafKeys.privateKey },
  )
  const forged = issueCertificate(contentOf('admin', ownKeys.publicKey), {
    certificate: pretended,
    key: leafKeys.privateKey,
  })
  const key = ownKeys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  return { cert: `${forged}${real.cert}${leaf.cert}`, key }
}

/** One that an authority below ours signed, which is in the chain. */
function signedBelow(): Shown {
  const [keys, ownKeys] = [ecPair(), ecPair()]
  const middle = authority.issue('middle', { isAuthority: true, keys })
  const cert = issueCertificate(contentOf('below', ownKeys.publicKey), {
    certificate: middle.cert,
    key: keys.privateKey,
  })
  const key = ownKeys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  return { cert: `${cert}${middle.cert}`, key }
}

function selfSigned(): Shown {
  const keys = ecPair()
  const content = contentOf('client', keys.publicKey)
  const cert = issueCertificate(content, { certificate: undefined, key: keys.privateKey })
  return { cert, key: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() }
}

/** What clients show, and whether it is one that may be taken. */
const clients: Readonly<Record<string, { readonly shown: Shown; readonly isGood: boolean }>> = {
  nothing: { shown: {}, isGood: false },
  'a client’s': { shown: authority.issue('good', { uses: ['clientAuth'] }), isGood: true },
  'an agent’s': { shown: authority.issue('agent'), isGood: true },
  'of an authority below ours': { shown: signedBelow(), isGood: true },
  'of another authority of the same name': { shown: impostor.issue('good'), isGood: false },
  'of nobody': { shown: selfSigned(), isGood: false },
  'signed by a leaf': { shown: signedByLeaf(), isGood: false },
  expired: { shown: authority.issue('old', { fromDays: -9, untilDays: -1 }), isGood: false },
  'not valid yet': { shown: authority.issue('early', { fromDays: 2 }), isGood: false },
  'for servers only': { shown: authority.issue('srv', { uses: ['serverAuth'] }), isGood: false },
}

const VERSIONS = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const
type Version = (typeof VERSIONS)[number]

const optionsOf = (at: At, version: Version, shown: Shown): ConnectionOptions => ({
  ...at,
  ca: authority.cert,
  minVersion: version,
  maxVersion: version,
  ...(version < 'TLSv1.2' ? { ciphers: 'DEFAULT@SECLEVEL=0' } : {}),
  ...(shown.cert === undefined ? {} : { cert: shown.cert, key: shown.key }),
})

type Said = boolean | undefined
const SAID: readonly Said[] = [undefined, false, true]
const line = (name: string, said: Said): string => (said === undefined ? '' : `${name} = ${said}`)

/** The documented meaning of the four keys (docs/security.md). */
function mustVerify(stanza: Said, defaults: Said, flat: Said, flatHttps: Said): boolean {
  if (stanza !== undefined) return stanza
  if (flatHttps) return true
  return defaults ?? flat ?? false
}

t.test('every combination of the switches, of what is shown, and of versions', async t => {
  let count = 0
  for (const stanza of SAID)
    for (const defaults of SAID)
      for (const flat of SAID)
        for (const flatHttps of SAID) {
          const text = `${FILES} ${line('verify_incoming', flat)}
            ${line('verify_incoming_https', flatHttps)}
            tls { defaults { ${line('verify_incoming', defaults)} }
                  https { ${line('verify_incoming', stanza)} } }`
          const verifies = mustVerify(stanza, defaults, flat, flatHttps)
          const wrong: string[] = []
          await listening(text, async (at, requests) => {
            let served = 0
            for (const [name, { shown, isGood }] of Object.entries(clients)) {
              // What is too old is refused before anybody asks what is shown.
              const isTelling = name === 'nothing' || name === 'a client’s'
              for (const version of isTelling ? VERSIONS : VERSIONS.slice(2)) {
                const ending = await endingOf(optionsOf(at, version, shown))
                const isServed = version >= 'TLSv1.2' && (!verifies || isGood)
                if (isServed) served++
                if (ending !== (isServed ? 'served' : 'refused')) {
                  wrong.push(`${name}, ${version}: ${ending}`)
                }
                count++
              }
            }
            if (requests() !== served) wrong.push(`${requests()} requests came through`)
          })
          t.same(wrong, [], text.split('\n').slice(2).join(' ').replaceAll(/\s+/g, ' '))
        }
  reached('handshakes of the matrix', count)
})

t.test('the oldest version that is spoken', async t => {
  const oldest: Record<string, Version> = {
    '': 'TLSv1.2',
    TLS_AUTO: 'TLSv1.2',
    TLSv1_0: 'TLSv1.2',
    TLSv1_1: 'TLSv1.2',
    TLSv1_2: 'TLSv1.2',
    TLSv1_3: 'TLSv1.3',
  }
  for (const [name, from] of Object.entries(oldest)) {
    for (const stanza of ['defaults', 'https']) {
      await listening(`${FILES} tls { ${stanza} { tls_min_version = "${name}" } }`, async at => {
        for (const version of VERSIONS) {
          const expected: Ending = version >= from ? 'served' : 'refused'
          t.equal(await endingOf(optionsOf(at, version, {})), expected, `${name} ${version}`)
        }
      })
    }
  }
})

t.test('suites: the ones that are named and no other, of TLS 1.2', async t => {
  const suite = 'TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256'
  await listening(`${FILES} tls { https { tls_cipher_suites = "${suite}" } }`, async at => {
    const with12 = (ciphers: string) =>
      endingOf({ ...optionsOf(at, 'TLSv1.2', {}), ciphers: `${ciphers}@SECLEVEL=0` })
    t.equal(await with12('ECDHE-ECDSA-CHACHA20-POLY1305'), 'served')
    for (const other of ['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-ECDSA-AES256-SHA']) {
      t.equal(await with12(other), 'refused', other)
    }
    t.equal(await endingOf(optionsOf(at, 'TLSv1.3', {})), 'served')
  })
  await listening(FILES, async at => {
    for (const weak of [
      'ECDHE-ECDSA-AES256-SHA',
      'AECDH-NULL-SHA',
      'ECDHE-ECDSA-NULL-SHA',
      'PSK',
    ]) {
      const options = { ...optionsOf(at, 'TLSv1.2', {}), ciphers: `${weak}@SECLEVEL=0` }
      t.not(await endingOf(options), 'served', weak)
    }
  })
})

t.test('HTTP to the port of TLS, TLS to the port of HTTP', async t => {
  for (const verifies of [false, true]) {
    const text = `${FILES} verify_incoming = ${verifies}`
    await listening(text, async (at, requests) => {
      const said = await sayPlainly(t, at, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n')
      t.notMatch(said, /HTTP|here/)
      // A record of TLS that holds it: nothing inside of it is looked at before a handshake.
      const record = '\x17\x03\x03\x00\x12GET / HTTP/1.1\r\n\r\n'
      t.notMatch(await sayPlainly(t, at, record), /HTTP|here/)
      t.equal(requests(), 0)
      t.equal(await endingOf(optionsOf(at, 'TLSv1.3', clients['an agent’s']!.shown)), 'served')
    })
  }
  let requests = 0
  const listeners = new HttpListeners(boundsOfTests, (_message, response) => {
    requests++
    response.end('here')
  })
  const at = await listeners.listen('127.0.0.1', 0)
  t.match(await endingOf(optionsOf(at, 'TLSv1.3', {})), /^client: ERR_SSL_/)
  t.equal(requests, 0)
  listeners.cut()
  await listeners.close()
})

function sayPlainly(t: Test, at: At, text: string): Promise<string> {
  return new Promise(resolve => {
    const socket = connectPlain(at)
    t.teardown(() => socket.destroy())
    let answer = ''
    socket.on('data', data => {
      answer += data.toString('latin1')
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve(answer))
    socket.write(Buffer.from(text, 'latin1'))
  })
}

t.test('generated: certificates by who signed, for what, and when', async t => {
  const use = fc.subarray(['serverAuth', 'clientAuth'] as const)
  const certificate = fc.record({
    by: fc.constantFrom('ours', 'impostor', 'itself'),
    uses: use,
    fromDays: fc.integer({ min: -20, max: 3 }),
    lasts: fc.integer({ min: 1, max: 30 }),
    version: fc.constantFrom('TLSv1.2' as const, 'TLSv1.3' as const),
  })
  await listening(`${FILES} tls { https { verify_incoming = true } }`, async (at, requests) => {
    let served = 0
    const property = fc.asyncProperty(
      certificate,
      async ({ by, uses, fromDays, lasts, version }) => {
        const untilDays = fromDays + lasts
        // Not within a moment of its edges, which a slow machine could step over.
        if (fromDays === 0 || untilDays === 0) return true
        const keys = ecPair()
        const options = { uses, fromDays, untilDays, keys }
        const own = contentOf('client', keys.publicKey, options)
        const cert =
          by === 'itself'
            ? issueCertificate(own, { certificate: undefined, key: keys.privateKey })
            : (by === 'ours' ? authority : impostor).issue('client', options).cert
        const key = keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
        const isForClients = uses.length === 0 || uses.includes('clientAuth')
        const isGood = by === 'ours' && isForClients && fromDays < 0 && untilDays > 0
        if (isGood) served++
        const ending = await endingOf(optionsOf(at, version, { cert, key }))
        return ending === (isGood ? 'served' : 'refused')
      },
    )
    await fc.assert(property, { numRuns: propertyRuns() })
    t.equal(requests(), served)
    t.ok(served > 0, `${served} were good`)
  })
})

t.test('a name in the certificate of a server is looked at', async t => {
  await listening(FILES, async at => {
    const named = (more: ConnectionOptions) =>
      endingOf({ ...optionsOf(at, 'TLSv1.3', {}), ...more })
    t.equal(await named({ servername: 'localhost' }), 'served')
    t.equal(await named({ servername: 'other.example' }), 'client: ERR_TLS_CERT_ALTNAME_INVALID')
    t.match(await named({ ca: impostor.cert }), /^client: (UNABLE_TO_VERIFY|SELF_SIGNED)/)
  })
})

t.test('a server name that is asked for changes nothing about who is let in', async t => {
  await listening(`${FILES} verify_incoming = true`, async (at, requests) => {
    for (const servername of ['localhost', 'web', 'server.dc1.consul', 'x'.repeat(250)]) {
      const options = { ...optionsOf(at, 'TLSv1.3', {}), servername, checkServerIdentity: noCheck }
      t.equal(await endingOf(options), 'refused', servername)
    }
    t.equal(requests(), 0)
  })
})

const noCheck = (): undefined => undefined

t.test('what is sent before the handshake is through is not taken for a request', async t => {
  await listening(`${FILES} verify_incoming = true`, async (at, requests) => {
    // The client of TLS 1.3 is through before the server has seen that it shows nothing.
    const socket = connect({ ...at, ca: authority.cert })
    t.teardown(() => socket.destroy())
    socket.on('error', () => {})
    for (let i = 0; i < 50; i++) socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    await new Promise(resolve => socket.once('close', resolve))
    t.equal(requests(), 0)
  })
})
