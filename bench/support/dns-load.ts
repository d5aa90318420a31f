/**
 * What the DNS bench asks, of which registry, and its load generator, dnsperf.
 *
 * Owns the mix: of 100 names 80 exist, with two instances each; those are asked for A and for
 * SRV, the others for A.
 */
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { buildTemplate, newQuestion, readQuestion } from '../../src/wire/dns/mod.ts'
import { type Cores, pinned } from './cores.ts'

const NAMES = 100
const EXISTING = 80
const CLIENTS = 8

/** The part of the questions that asks for what is not there. */
export const missShare = (NAMES - EXISTING) / (NAMES + EXISTING)

const nameOf = (i: number): string => `service-${i}.service.consul`

/** Two instances of each name that exists, as the catalog's endpoint takes them. */
export function registrations(): object[] {
  return Array.from({ length: 2 * EXISTING }, (_, i) => ({
    Node: `node-${i}`,
    Address: `10.0.0.${i}`,
    Service: { Service: `service-${i >> 1}`, Port: 8080 },
  }))
}

/** What the bare socket gives to everybody: an answer to the first name, with two addresses. */
export const twoAddresses: Buffer = (() => {
  const name = nameOf(0)
  const labels = name.split('.').map(label => String.fromCharCode(label.length) + label)
  const header = '\x00\x00\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00'
  const query = Buffer.from(`${header}${labels.join('')}\0\0\x01\0\x01`, 'latin1')
  const question = newQuestion()
  readQuestion(query, question)
  const answers = ['10.0.0.0', '10.0.0.1'].map(data => ({
    record: { name, class: 1, ttlS: 0, type: 'A' as const, data },
    additionals: [],
  }))
  const content = { rcode: 0, authoritative: true, compress: true, answers, authorities: [] }
  const out = Buffer.alloc(65_535)
  const size = buildTemplate(question.key, content).write(out, query, question, {
    maxSizeBytes: 512,
    maxAnswers: 8,
    wantedAnswers: 0,
    recursionAvailable: false,
    markTruncated: false,
    random: -1,
  })
  return out.subarray(0, size)
})()

/** Writes the questions into a folder; gives the file. */
export function writeQuestions(folder: string): string {
  const lines: string[] = []
  for (let i = 0; i < NAMES; i++) {
    lines.push(`${nameOf(i)} A`)
    if (i < EXISTING) lines.push(`${nameOf(i)} SRV`)
  }
  const file = join(folder, 'questions.txt')
  writeFileSync(file, `${lines.join('\n')}\n`)
  return file
}

export interface DnsLoadResult {
  readonly perSecond: number
  readonly answers: number
  /** Answers by their code. */
  readonly codes: Readonly<Record<string, number>>
}

/** Asks a server for some seconds; throws when the generator could not run. */
export async function runDnsperf(
  cores: Cores,
  port: number,
  { file, seconds }: { readonly file: string; readonly seconds: number },
): Promise<DnsLoadResult> {
  const words = ['-s', '127.0.0.1', '-p', `${port}`, '-d', file, '-l', `${seconds}`]
  const clients = ['-c', `${CLIENTS}`, '-T', '1', '-q', '100', '-t', '1']
  const printed = await outputOf(pinned(cores.client, 'dnsperf', [...words, ...clients]))
  const perSecond = Number(/Queries per second:\s+([\d.]+)/.exec(printed)?.[1] ?? 0)
  if (perSecond === 0) throw new Error(`dnsperf: ${printed}`)
  const codes = /Response codes:\s+(.*)/.exec(printed)?.[1] ?? ''
  return {
    perSecond,
    answers: Number(/Queries completed:\s+(\d+)/.exec(printed)?.[1] ?? 0),
    codes: Object.fromEntries(
      [...codes.matchAll(/(\w+) (\d+)/g)].map(([, code, count]) => [code, Number(count)]),
    ),
  }
}

function outputOf([command = '', ...words]: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, words, { stdio: ['ignore', 'pipe', 'pipe'] })
    let printed = ''
    child.stdout.on('data', chunk => {
      printed += chunk
    })
    child.stderr.on('data', chunk => {
      printed += chunk
    })
    child.once('error', error => reject(new Error(`dnsperf is needed for this bench: ${error}`)))
    child.once('close', () => resolve(printed))
  })
}
