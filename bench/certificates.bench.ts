/**
 * A million stored certificates in a mount of the certificate authority: how long a start takes
 * beside them, how much memory the whole process has, and what a list of a hundred thousand revoked
 * ones costs, and holds up.
 *
 * They are written past HTTP into the store of a server that is stopped, by the engine's own
 * functions. All that is measured is asked of the program itself.
 */
import assert from 'node:assert/strict'
import type { LoopFigures } from './support/child.ts'
import { call, must } from './support/client.ts'
import { bothSettings, type Cores, pinSelf } from './support/cores.ts'
import { isQuick, sleep } from './support/rounds.ts'
import { megabytes, printRow, say, time } from './support/row.ts'
import { json, type Opened, type Ours, postTo, startOurs, until } from './support/secrets.ts'
import { makeFolder, type Server, startAgent } from './support/servers.ts'
import { storeCertificates } from './support/stored-certificates.ts'

const CERTIFICATES = isQuick ? 20_000 : 1_000_000
const REVOKED = isQuick ? 5_000 : 100_000
const START_GOAL_MS = 10_000
const MEMORY_GOAL_BYTES = 500e6
const SLICE_GOAL_MS = 20
const SETTLE_MS = isQuick ? 2_000 : 20_000
const MANY = `${CERTIFICATES.toLocaleString('en')} stored certificates`

/** A root, a role, and lists that are made when that is asked for. */
async function fill(on: Opened): Promise<Opened> {
  const post = postTo(on)
  await post('sys/mounts/pki', { type: 'pki', config: { max_lease_ttl: '87600h' } })
  const root = { common_name: 'Bench Root', key_type: 'ec', key_bits: 256, ttl: '87600h' }
  await until(() => post('pki/root/generate/internal', root))
  const role = { allow_any_name: true, key_type: 'ec', key_bits: 256, ttl: '720h' }
  await post('pki/roles/stored', role)
  await post('pki/config/crl', { auto_rebuild: true, expiry: '72h', max_crl_entries: -1 })
  return on
}

/** Stores a great many, past HTTP, and starts beside them: as users do, and with the probe. */
async function measureMany(cores: Cores): Promise<void> {
  const folder = makeFolder()
  const on = await startOurs(cores.server, fill, [], folder)
  await on.server.stop()
  const fromMs = performance.now()
  const many = { mount: 'pki/', certificates: CERTIFICATES, revoked: REVOKED }
  const serial = await storeCertificates({ folder, unsealKey: on.unsealKey, ...many })
  say(`${MANY} written in ${time(performance.now() - fromMs)}`)

  const startedMs = performance.now()
  const again = await startAgain(on, cores, { folder, serial, isProbed: false })
  const tookMs = performance.now() - startedMs
  await sleep(SETTLE_MS)
  const sizeBytes = again.rssSizeBytes() ?? Number.POSITIVE_INFINITY
  await again.stop()
  printMany(cores, { tookMs, sizeBytes })

  const server = await startAgain(on, cores, { folder, serial, isProbed: true })
  await printRebuild({ ...on, server }, cores, 'made for the first time after a start')
  const other = { common_name: 'other.example.com' }
  const { data } = await json(on.port, 'PUT', '/v1/pki/issue/stored', other, on.asRoot)
  await json(on.port, 'PUT', '/v1/pki/revoke', { serial_number: data.serial_number }, on.asRoot)
  await printRebuild({ ...on, server }, cores, 'rebuilt')
  await server.stop()
}

/** Starts on a folder, and resolves once a stored certificate was read. */
async function startAgain(
  { port, unsealKey }: Opened,
  cores: Cores,
  { folder, serial, isProbed }: { folder: string; serial: string; isProbed: boolean },
): Promise<Server> {
  const more = ['-hcl', `ports { secrets = ${port} }`]
  const server = await startAgent(cores.server, { folder, more, isProbed })
  await json(port, 'PUT', '/v1/sys/unseal', { key: unsealKey })
  const { data } = await until(() => json(port, 'GET', `/v1/pki/cert/${serial}`))
  assert.match(data.certificate, /BEGIN CERTIFICATE/)
  return server
}

async function printRebuild(on: Ours<Opened>, cores: Cores, what: string): Promise<void> {
  await on.server.ask('reset')
  const fromMs = performance.now()
  await must(on.port, 'GET', '/v1/pki/crl/rotate', '', on.asRoot)
  const crl = await call(on.port, 'GET', '/v1/pki/crl')
  const tookMs = performance.now() - fromMs
  const loop = await on.server.ask<LoopFigures>('loop')
  assert.ok(crl.body.length > REVOKED * 20, `the list holds ${crl.body.length} bytes`)
  const figure = `a CRL of ${REVOKED.toLocaleString('en')} entries ${what} (${cores.name})`
  printRow({
    figure,
    ours: `${time(tookMs)}, loop held ${time(loop.delayMaxMs)} at most`,
    limit: `${megabytes(crl.body.length)} of list`,
    goal: `loop held under ${time(SLICE_GOAL_MS)}`,
    met: loop.delayMaxMs < SLICE_GOAL_MS,
    peer: '',
    note: `longest slice ${time(loop.longestSliceMs)}, loop p99 ${time(loop.delayP99Ms)}`,
  })
  say(`${figure}: ${time(tookMs)}, loop held ${time(loop.delayMaxMs)}`)
}

function printMany(cores: Cores, { tookMs, sizeBytes }: { tookMs: number; sizeBytes: number }) {
  const absolute = { limit: 'absolute', peer: '', note: '' }
  printRow({
    ...absolute,
    figure: `start to the first one read, ${MANY} (${cores.name})`,
    ours: time(tookMs),
    goal: `under ${time(START_GOAL_MS)}`,
    met: tookMs < START_GOAL_MS,
  })
  printRow({
    ...absolute,
    figure: `memory after that start, ${MANY} (${cores.name})`,
    ours: megabytes(sizeBytes),
    goal: `under ${megabytes(MEMORY_GOAL_BYTES)}`,
    met: sizeBytes < MEMORY_GOAL_BYTES,
  })
  say(`${MANY}: start ${time(tookMs)}, ${megabytes(sizeBytes)}`)
}

const [, cores] = bothSettings
pinSelf(cores!)
await measureMany(cores!)
