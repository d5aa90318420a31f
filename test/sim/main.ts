/**
 * The command `npm run sim`: replays a seed with its trace, or searches for one that fails.
 *
 *     npm run sim -- --seed 17                 one run, told step by step
 *     npm run sim -- --from 1000 --count 500   which of these fail
 *     npm run sim -- --seed 17 --bug staleRead with a bug of etcd's switched on
 *     npm run sim -- --seed 17 --mutant NAME   with a bug of ours planted
 */
import { parseArgs } from 'node:util'
import { type Bug, bugs } from './etcd/cluster.ts'
import { mutants } from './mutants.ts'
import { type SimulateOptions, simulate } from './simulate.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    from: { type: 'string', default: '0' },
    count: { type: 'string', default: '100' },
    bug: { type: 'string', multiple: true, default: [] },
    mutant: { type: 'string' },
  },
})
const print = (line: string): void => void process.stdout.write(`${line}\n`)

const unknown = values.bug.filter(name => !Object.hasOwn(bugs, name))
const mutant = mutants.find(({ name }) => name === values.mutant)
if (unknown.length > 0) throw new Error(`no bug ${unknown}; known: ${Object.keys(bugs).join()}`)
if (values.mutant !== undefined && mutant === undefined) {
  throw new Error(`no such mutant; known:\n${mutants.map(({ name }) => name).join('\n')}`)
}
const options: SimulateOptions = {
  bugs: values.bug as Bug[],
  ...(mutant === undefined ? {} : { seams: mutant.seams() }),
}

let failed = 0
if (values.seed !== undefined) {
  const outcome = await simulate(Number(values.seed), { ...options, traced: true })
  for (const line of outcome.trace) print(line)
  print(`${outcome.answered} answered, ${outcome.unknown} unknown, run ${outcome.fingerprint}`)
  for (const fault of outcome.faults) print(fault)
  print(outcome.problem === '' ? 'all is well' : outcome.problem)
  failed = outcome.problem === '' ? 0 : 1
} else {
  const from = Number(values.from)
  for (let seed = from; seed < from + Number(values.count); seed++) {
    const { problem, fingerprint } = await simulate(seed, options)
    if (problem === '') continue
    failed++
    print(`${seed} (${fingerprint}): ${problem}`)
  }
  print(`${failed} of ${values.count} seeds failed`)
}
process.exitCode = failed > 0 ? 1 : 0
