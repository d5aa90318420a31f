/**
 * A rate with audit on beside the same with audit off, in one run.
 *
 * Owns the row. With audit on every request has a record, synced before its answer, and a file
 * device that gets it.
 */
import { join } from 'node:path'
import type { Comparison } from './compare.ts'
import { bothSettings, type Cores } from './cores.ts'
import { inTurn, roundCount, roundSeconds } from './rounds.ts'
import { printRow, rate, say } from './row.ts'
import { makeFolder, startAgent } from './servers.ts'
import { runWrk } from './wrk.ts'

type Audited = Pick<Comparison, 'figure' | 'fill' | 'load' | 'check'>

const GOAL = 0.8

/** Compares with one core given, then with two. */
export async function compareAudit(spec: Audited): Promise<void> {
  for (const cores of bothSettings) await compareOn(cores, spec)
}

async function compareOn(cores: Cores, spec: Audited): Promise<void> {
  const folder = makeFolder()
  const sink = `sink "file" { type = "file" path = ${JSON.stringify(join(folder, 'audit.log'))} }`
  const words = ['-hcl', `audit { enabled = true ${sink} }`]
  const on = await startAgent(cores.server, { folder, more: words })
  const off = await startAgent(cores.server)
  for (const { port } of [on, off]) await spec.fill(port)
  const measure = (port: number) => async (round: number) =>
    (await runWrk(cores, { port, ...spec.load }, { seconds: roundSeconds, round })).perSecond
  const rates = await inTurn({ on: measure(on.port), off: measure(off.port) })
  for (const { port } of [on, off]) await spec.check(port, roundCount - 1)
  await on.stop()
  await off.stop()
  const ratio = rates.on.max / rates.off.max
  const row = {
    figure: `${spec.figure}, audit on (${cores.name})`,
    ours: rate(rates.on.max),
    limit: `${ratio.toFixed(2)} of ${rate(rates.off.max)} (audit off)`,
    goal: `at least ${GOAL}`,
    met: ratio >= GOAL,
    peer: '–',
    note: `medians ${rate(rates.on.median)}, ${rate(rates.off.median)}`,
  }
  say(`${row.figure}: ${row.ours}, ${row.limit}; ${row.note}`)
  printRow(row)
}
