/**
 * The command line: which verb, then its flags, then its work.
 *
 * Owns the list of verbs. Each is imported only when it is called, so that a start pays for no
 * other. Exit codes are Consul's: 0, 1 for a failure, 2 where a verb says so, 127 for no verb.
 */
import { messageOf } from '../base/errors.ts'
import { type Command, Flags, fail, type Io } from './command.ts'

interface Verb {
  readonly summary: string
  readonly load: () => Promise<Command>
}

/** Every verb that is served, by its words. */
export const verbs: Readonly<Record<string, Verb>> = {
  agent: {
    summary: 'runs an agent',
    load: async () => {
      const { agentCommand } = await import('./agent.ts')
      return agentCommand(async () => (await import('../agent/lifecycle.ts')).startAgent)
    },
  },
  'catalog datacenters': {
    summary: 'lists the datacenters',
    load: async () => (await import('./catalog.ts')).catalogDatacenters,
  },
  'catalog nodes': {
    summary: 'lists the nodes',
    load: async () => (await import('./catalog.ts')).catalogNodes,
  },
  'catalog services': {
    summary: 'lists the services',
    load: async () => (await import('./catalog.ts')).catalogServices,
  },
  'kv delete': {
    summary: 'deletes keys',
    load: async () => (await import('./kv.ts')).kvDelete,
  },
  'kv export': {
    summary: 'prints keys and values as JSON',
    load: async () => (await import('./kv.ts')).kvExport,
  },
  'kv get': {
    summary: 'prints a value, or lists keys',
    load: async () => (await import('./kv.ts')).kvGet,
  },
  'kv import': {
    summary: 'writes what kv export printed',
    load: async () => (await import('./kv.ts')).kvImport,
  },
  'kv put': {
    summary: 'writes a value',
    load: async () => (await import('./kv.ts')).kvPut,
  },
  members: {
    summary: 'lists the members of the cluster',
    load: async () => (await import('./members.ts')).members,
  },
  'services deregister': {
    summary: 'deregisters services from the local agent',
    load: async () => (await import('./services.ts')).servicesDeregister,
  },
  'services register': {
    summary: 'registers services with the local agent',
    load: async () => (await import('./services.ts')).servicesRegister,
  },
  validate: {
    summary: 'checks files of configuration',
    load: async () => (await import('./validate.ts')).validate,
  },
  version: {
    summary: 'prints the version',
    load: async () => (await import('./version.ts')).version,
  },
}

/** Verbs of Consul's command line that are known and not served yet. */
export const laterVerbs: readonly string[] = [
  ...['acl', 'config', 'connect', 'debug', 'event', 'exec', 'force-leave', 'info', 'intention'],
  ...['join', 'keygen', 'keyring', 'leave', 'lock', 'login', 'logout', 'maint', 'monitor'],
  ...['operator', 'peering', 'reload', 'resource', 'rtt', 'snapshot', 'tls', 'troubleshoot'],
  ...['watch', 'services export', 'services exported-services', 'services imported-services'],
]

/** Runs the words of a command line and gives the exit code. `program` is the name called. */
export async function run(words: readonly string[], program: string, io: Io): Promise<number> {
  const [first = '', second = ''] = words
  if (/^--?(version|v)$/.test(first)) return run(['version'], program, io)
  const name = [`${first} ${second}`, first].find(each => Object.hasOwn(verbs, each))
  const verb = name === undefined ? undefined : verbs[name]
  if (name === undefined || verb === undefined) return runNone(words, program, io)
  const command = await verb.load()
  const { parseWords } = await import('./parse.ts')
  const rest = words.slice(name.split(' ').length)
  const parsed = parseWords(`${program} ${name}`, command, rest)
  switch (parsed.kind) {
    case 'help':
      io.print(`${name}: ${verb.summary}\n\n${parsed.text.trimEnd()}`)
      return 0
    case 'mistake':
      return fail(io, parsed.text)
    case 'call':
      try {
        return await command.run({ program, flags: new Flags(parsed.flags), args: parsed.args, io })
      } catch (error) {
        return fail(io, `Error: ${messageOf(error)}`)
      }
  }
}

/** No verb, half of one, one that comes later, or none that anyone knows. */
function runNone(words: readonly string[], program: string, io: Io): number {
  const NO_VERB_CODE = 127
  const [first = '', second = ''] = words
  const later = [`${first} ${second}`, first].find(each => laterVerbs.includes(each))
  if (later !== undefined) return fail(io, `not served yet: ${later}`)
  const below = Object.keys(verbs).filter(name => name.startsWith(`${first} `))
  const isHelp = words.some(word => /^--?(help|h)$/.test(word))
  const text = listText(program, below.length > 0 ? below : Object.keys(verbs))
  if (isHelp) io.print(text)
  else io.printError(text)
  if (isHelp) return 0
  return below.length > 0 ? 1 : NO_VERB_CODE
}

function listText(program: string, names: readonly string[]): string {
  const width = Math.max(...names.map(name => name.length))
  const lines = names.map(name => `  ${name.padEnd(width)}  ${verbs[name]?.summary}`)
  return [`Usage: ${program} <verb> [options] [arguments]`, '', ...lines].join('\n')
}
