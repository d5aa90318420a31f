/**
 * Unary calls of gRPC: a key is read by 32 connections with four calls under way on each.
 *
 * The limit is a server of the library alone that sends the same bytes.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import * as grpc from '@grpc/grpc-js'
import { methodsOf } from '../src/base/io/proto.ts'
import { freePort, type LoopFigures, probed, startNode } from './support/child.ts'
import { must } from './support/client.ts'
import { bothSettings, type Cores, pinned } from './support/cores.ts'
import type { GrpcLoadResult } from './support/grpc-load.ts'
import { inTurn, roundSeconds } from './support/rounds.ts'
import { loopText, printRow, rateRow, say } from './support/row.ts'
import { idleLoop, type Server, startAgent } from './support/servers.ts'

const CONNECTIONS = 32
const IN_FLIGHT = 4
const METHOD = 'gatehouse.v1.KV/Get'
const PATH = `/${METHOD}`
const VALUE = 'x'.repeat(48)
const bareServer = fileURLToPath(new URL('./support/bare-grpc.ts', import.meta.url))
const generator = fileURLToPath(new URL('./support/grpc-load.ts', import.meta.url))
const [codec] = await methodsOf(['gatehouse/v1/kv.proto'], [METHOD])
const request = codec!.request.encode({ key: Buffer.from('bench/7') })

for (const cores of bothSettings) await compareOn(cores)

async function compareOn(cores: Cores): Promise<void> {
  const grpcPort = await freePort()
  const ours = await startAgent(cores.server, { more: [`-grpc-port=${grpcPort}`] })
  await must(ours.port, 'PUT', '/v1/kv/bench/7', VALUE)
  const answer = await sampleOf(grpcPort)
  const bare = await startBare(cores, answer)
  const rates = await inTurn({
    ours: async () => checked(await load(cores, grpcPort), answer).perSecond,
    bare: async () => checked(await load(cores, bare.port), answer).perSecond,
  })
  await bare.stop()
  await ours.ask('reset')
  await load(cores, grpcPort)
  const loop = await ours.ask<LoopFigures>('loop')
  await ours.stop()
  const idle = await idleLoop(cores.server)
  const limit = { what: 'bare grpc-js, same bytes', goal: 0.8 }
  const figure = `gRPC unary read, ${CONNECTIONS} connections (${cores.name})`
  const row = rateRow(figure, rates, limit, { peer: '', note: loopText(loop, idle) })
  say(`${row.figure}: ${row.ours}, ${row.limit}; ${row.note}`)
  printRow(row)
}

/** The message that is answered; throws where it is not the key's. */
function sampleOf(port: number): Promise<Buffer> {
  const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure())
  const same = (bytes: Buffer): Buffer => bytes
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(PATH, same, same, request, (error, bytes) => {
      client.close()
      if (error !== null) reject(error)
      else {
        assert.ok(bytes!.includes(VALUE))
        resolve(bytes!)
      }
    })
  })
}

async function startBare(cores: Cores, answer: Buffer): Promise<Server> {
  const port = await freePort()
  const words = [...probed, bareServer, `${port}`, PATH, answer.toString('base64')]
  return { ...(await startNode(cores.server, words, { isReady: /^Ready\.$/m })), port }
}

async function load({ client }: Cores, port: number): Promise<GrpcLoadResult> {
  const words = [generator, port, PATH, request.toString('base64'), CONNECTIONS, IN_FLIGHT]
  const node = ['--no-warnings', ...words.map(String), String(roundSeconds)]
  const [command = '', ...rest] = pinned(client, process.execPath, node)
  const { stdout } = await promisify(execFile)(command, rest)
  return JSON.parse(stdout) as GrpcLoadResult
}

/** Every call was answered, and by the whole message. */
function checked(result: GrpcLoadResult, answer: Buffer): GrpcLoadResult {
  const FRAME_BYTES = 5
  const wanted = result.answers * (answer.length + FRAME_BYTES)
  assert.equal(result.failures, 0)
  assert.ok(result.bytesOfMessages >= wanted, `${result.bytesOfMessages} of ${wanted} bytes`)
  return result
}
