/**
 * The command line: which verb, then its flags, then its work.
 *
 * Owns the list of verbs. Each is imported only when it is called, so that a start pays for no
 * other. Exit codes are Consul's: 0, 1 for a failure, 2 where a verb says so, 127 for no verb.
 */
import { messageOf } from '../base/errors.ts'
import { Flags, fail, type Io, type Verb } from './command.ts'
import {
  laterSecretsVerbs,
  neverSecretsVerbs,
  plainSecretsVerbs,
  secretsVerbs,
} from './secrets/verbs.ts'

/** Every verb of Consul's and of our own that is served, by its words. */
export const verbs: Readonly<Record<string, Verb>> = {
  'acl auth-method create': {
    summary: 'creates an auth method',
    load: async () => (await import('./acl/method.ts')).aclMethodCreate,
  },
  'acl auth-method delete': {
    summary: 'deletes an auth method',
    load: async () => (await import('./acl/method.ts')).aclMethodDelete,
  },
  'acl auth-method list': {
    summary: 'lists the auth methods',
    load: async () => (await import('./acl/method.ts')).aclMethodList,
  },
  'acl auth-method read': {
    summary: 'prints an auth method',
    load: async () => (await import('./acl/method.ts')).aclMethodRead,
  },
  'acl auth-method update': {
    summary: 'changes an auth method',
    load: async () => (await import('./acl/method.ts')).aclMethodUpdate,
  },
  'acl binding-rule create': {
    summary: 'creates a binding rule',
    load: async () => (await import('./acl/method.ts')).aclRuleCreate,
  },
  'acl binding-rule delete': {
    summary: 'deletes a binding rule',
    load: async () => (await import('./acl/method.ts')).aclRuleDelete,
  },
  'acl binding-rule list': {
    summary: 'lists the binding rules',
    load: async () => (await import('./acl/method.ts')).aclRuleList,
  },
  'acl binding-rule read': {
    summary: 'prints a binding rule',
    load: async () => (await import('./acl/method.ts')).aclRuleRead,
  },
  'acl binding-rule update': {
    summary: 'changes a binding rule',
    load: async () => (await import('./acl/method.ts')).aclRuleUpdate,
  },
  'acl bootstrap': {
    summary: 'makes the first token, which may do everything',
    load: async () => (await import('./acl/system.ts')).aclBootstrap,
  },
  'acl condition create': {
    summary: 'creates a condition',
    load: async () => (await import('./acl/condition.ts')).aclConditionCreate,
  },
  'acl condition delete': {
    summary: 'deletes a condition',
    load: async () => (await import('./acl/condition.ts')).aclConditionDelete,
  },
  'acl condition list': {
    summary: 'lists the conditions',
    load: async () => (await import('./acl/condition.ts')).aclConditionList,
  },
  'acl condition read': {
    summary: 'prints a condition',
    load: async () => (await import('./acl/condition.ts')).aclConditionRead,
  },
  'acl condition update': {
    summary: 'changes a condition',
    load: async () => (await import('./acl/condition.ts')).aclConditionUpdate,
  },
  'acl policy create': {
    summary: 'creates a policy',
    load: async () => (await import('./acl/policy.ts')).aclPolicyCreate,
  },
  'acl policy delete': {
    summary: 'deletes a policy',
    load: async () => (await import('./acl/policy.ts')).aclPolicyDelete,
  },
  'acl policy list': {
    summary: 'lists the policies',
    load: async () => (await import('./acl/policy.ts')).aclPolicyList,
  },
  'acl policy read': {
    summary: 'prints a policy',
    load: async () => (await import('./acl/policy.ts')).aclPolicyRead,
  },
  'acl policy update': {
    summary: 'changes a policy',
    load: async () => (await import('./acl/policy.ts')).aclPolicyUpdate,
  },
  'acl role create': {
    summary: 'creates a role',
    load: async () => (await import('./acl/role.ts')).aclRoleCreate,
  },
  'acl role delete': {
    summary: 'deletes a role',
    load: async () => (await import('./acl/role.ts')).aclRoleDelete,
  },
  'acl role list': {
    summary: 'lists the roles',
    load: async () => (await import('./acl/role.ts')).aclRoleList,
  },
  'acl role read': {
    summary: 'prints a role',
    load: async () => (await import('./acl/role.ts')).aclRoleRead,
  },
  'acl role update': {
    summary: 'changes a role',
    load: async () => (await import('./acl/role.ts')).aclRoleUpdate,
  },
  'acl set-agent-token': {
    summary: 'sets a token that the agent itself shows',
    load: async () => (await import('./acl/system.ts')).aclSetAgentToken,
  },
  'acl templated-policy list': {
    summary: 'lists the templated policies',
    load: async () => (await import('./acl/system.ts')).aclTemplateList,
  },
  'acl templated-policy preview': {
    summary: 'prints the policy that a templated policy gives',
    load: async () => (await import('./acl/system.ts')).aclTemplatePreview,
  },
  'acl templated-policy read': {
    summary: 'prints a templated policy',
    load: async () => (await import('./acl/system.ts')).aclTemplateRead,
  },
  'acl token clone': {
    summary: 'makes another token that gives the same',
    load: async () => (await import('./acl/token.ts')).aclTokenClone,
  },
  'acl token create': {
    summary: 'creates a token',
    load: async () => (await import('./acl/token.ts')).aclTokenCreate,
  },
  'acl token delete': {
    summary: 'deletes a token',
    load: async () => (await import('./acl/token.ts')).aclTokenDelete,
  },
  'acl token list': {
    summary: 'lists the tokens',
    load: async () => (await import('./acl/token.ts')).aclTokenList,
  },
  'acl token read': {
    summary: 'prints a token',
    load: async () => (await import('./acl/token.ts')).aclTokenRead,
  },
  'acl token update': {
    summary: 'changes a token',
    load: async () => (await import('./acl/token.ts')).aclTokenUpdate,
  },
  agent: {
    summary: 'runs an agent',
    load: async () => {
      const { agentCommand } = await import('./agent.ts')
      return agentCommand(async ({ isServer }) =>
        isServer
          ? (await import('../agent/lifecycle.ts')).startAgent
          : (await import('../agent/client/start.ts')).startAgent,
      )
    },
  },
  'audit search': {
    summary: 'looks for records of the audit journal',
    load: async () => (await import('./audit.ts')).auditSearch,
  },
  'audit verify': {
    summary: 'proves that no audit record is missing or changed',
    load: async () => (await import('./audit.ts')).auditVerify,
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
  'cert watch': {
    summary: 'keeps a certificate fresh in files, and tells a program of each new one',
    load: async () => (await import('./cert/watch.ts')).certWatch,
  },
  'config delete': {
    summary: 'deletes a config entry',
    load: async () => (await import('./config.ts')).configDelete,
  },
  'config list': {
    summary: 'lists the config entries of a kind',
    load: async () => (await import('./config.ts')).configList,
  },
  'config read': {
    summary: 'prints a config entry',
    load: async () => (await import('./config.ts')).configRead,
  },
  'config write': {
    summary: 'writes a config entry',
    load: async () => (await import('./config.ts')).configWrite,
  },
  debug: {
    summary: 'gathers what an agent knows of itself in an archive',
    load: async () => (await import('./debug.ts')).debug,
  },
  event: {
    summary: 'fires an event',
    load: async () => (await import('./event.ts')).event,
  },
  'force-leave': {
    summary: 'makes a node leave that failed',
    load: async () => (await import('./agent-control.ts')).forceLeave,
  },
  info: {
    summary: 'prints the statistics of an agent',
    load: async () => (await import('./info.ts')).info,
  },
  'intention check': {
    summary: 'says whether a connection is allowed',
    load: async () => (await import('./intention.ts')).intentionCheck,
  },
  'intention create': {
    summary: 'creates intentions',
    load: async () => (await import('./intention.ts')).intentionCreate,
  },
  'intention delete': {
    summary: 'deletes an intention',
    load: async () => (await import('./intention.ts')).intentionDelete,
  },
  'intention get': {
    summary: 'prints an intention',
    load: async () => (await import('./intention.ts')).intentionGet,
  },
  'intention list': {
    summary: 'lists the intentions',
    load: async () => (await import('./intention.ts')).intentionList,
  },
  'intention match': {
    summary: 'lists the intentions that match a service',
    load: async () => (await import('./intention.ts')).intentionMatch,
  },
  join: {
    summary: 'makes an agent join others',
    load: async () => (await import('./agent-control.ts')).join,
  },
  'join-token create': {
    summary: 'makes a join token, by which agents are let in',
    load: async () => (await import('./join-token.ts')).joinTokenCreate,
  },
  'join-token list': {
    summary: 'lists the join tokens',
    load: async () => (await import('./join-token.ts')).joinTokenList,
  },
  'join-token read': {
    summary: 'prints a join token, without its secret',
    load: async () => (await import('./join-token.ts')).joinTokenRead,
  },
  'join-token revoke': {
    summary: 'ends a join token',
    load: async () => (await import('./join-token.ts')).joinTokenRevoke,
  },
  'join-token rotate': {
    summary: 'gives a join token another secret',
    load: async () => (await import('./join-token.ts')).joinTokenRotate,
  },
  keygen: {
    summary: 'prints a new key for gossip encryption',
    load: async () => (await import('./keygen.ts')).keygen,
  },
  keyring: {
    summary: 'shows or changes the keys of gossip encryption',
    load: async () => (await import('./keyring.ts')).keyring,
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
  leave: {
    summary: 'makes an agent leave and end',
    load: async () => (await import('./agent-control.ts')).leave,
  },
  lock: {
    summary: 'runs a command while a lock is held',
    load: async () => (await import('./lock.ts')).lock,
  },
  login: {
    summary: 'logs in by an auth method',
    load: async () => (await import('./acl/login.ts')).login,
  },
  logout: {
    summary: 'ends the token of a login',
    load: async () => (await import('./acl/login.ts')).logout,
  },
  maint: {
    summary: 'enters or leaves maintenance',
    load: async () => (await import('./maint.ts')).maint,
  },
  members: {
    summary: 'lists the members of the cluster',
    load: async () => (await import('./members.ts')).members,
  },
  monitor: {
    summary: 'prints the log of an agent as it is written',
    load: async () => (await import('./monitor.ts')).monitor,
  },
  'operator autopilot get-config': {
    summary: 'prints the settings of autopilot',
    load: async () => (await import('./operator.ts')).autopilotGetConfig,
  },
  'operator autopilot set-config': {
    summary: 'changes settings of autopilot',
    load: async () => (await import('./operator.ts')).autopilotSetConfig,
  },
  'operator autopilot state': {
    summary: 'prints how the servers are',
    load: async () => (await import('./operator.ts')).autopilotState,
  },
  'operator ca agents': {
    summary: 'lists the agents that were let into the cluster',
    load: async () => (await import('./join-token.ts')).caAgents,
  },
  'operator ca revoke': {
    summary: 'lets an agent in no more',
    load: async () => (await import('./join-token.ts')).caRevoke,
  },
  'operator ca roots': {
    summary: "lists the roots of the agents' CA",
    load: async () => (await import('./join-token.ts')).caRoots,
  },
  'operator ca rotate': {
    summary: "makes new roots of the agents' CA",
    load: async () => (await import('./join-token.ts')).caRotate,
  },
  'operator raft list-peers': {
    summary: 'lists the servers',
    load: async () => (await import('./operator.ts')).raftListPeers,
  },
  'operator raft remove-peer': {
    summary: 'removes a server',
    load: async () => (await import('./operator.ts')).raftRemovePeer,
  },
  'operator raft transfer-leader': {
    summary: 'makes another server lead',
    load: async () => (await import('./operator.ts')).raftTransferLeader,
  },
  'operator recover': {
    summary: "rebuilds a cluster from one server's disk, when most are lost",
    load: async () => (await import('./operator-recover.ts')).operatorRecover,
  },
  'operator server drain': {
    summary: 'makes a server hand over its work and end; it stays a member',
    load: async () => (await import('./agent-control.ts')).serverDrain,
  },
  'operator usage instances': {
    summary: 'counts services and instances',
    load: async () => (await import('./operator.ts')).usageInstances,
  },
  'policy explain': {
    summary: 'says why a request was refused, or something left out of its answer',
    load: async () => (await import('./policy.ts')).policyExplain,
  },
  'policy test': {
    summary: 'checks what policies allow and deny, without a server',
    load: async () => (await import('./policy.ts')).policyTest,
  },
  reload: {
    summary: 'makes an agent read its configuration anew',
    load: async () => (await import('./agent-control.ts')).reload,
  },
  rtt: {
    summary: 'estimates the round trip between two nodes',
    load: async () => (await import('./rtt.ts')).rtt,
  },
  'services deregister': {
    summary: 'deregisters services from the local agent',
    load: async () => (await import('./services.ts')).servicesDeregister,
  },
  'services register': {
    summary: 'registers services with the local agent',
    load: async () => (await import('./services.ts')).servicesRegister,
  },
  'snapshot inspect': {
    summary: 'says what an archive of the store holds',
    load: async () => (await import('./snapshot.ts')).snapshotInspect,
  },
  'snapshot restore': {
    summary: 'replaces the store by an archive',
    load: async () => (await import('./snapshot.ts')).snapshotRestore,
  },
  'snapshot save': {
    summary: 'writes an archive of the store',
    load: async () => (await import('./snapshot.ts')).snapshotSave,
  },
  'snapshot verify': {
    summary: 'reads archives to their ends and says whether they are whole',
    load: async () => (await import('./snapshot.ts')).snapshotVerify,
  },
  'sync apply': {
    summary: 'brings the targets of sinks to what the registry says, once',
    load: async () => (await import('./sync/once.ts')).syncApply,
  },
  'sync plan': {
    summary: 'shows what would change in the targets of sinks',
    load: async () => (await import('./sync/once.ts')).syncPlan,
  },
  'sync run': {
    summary: 'keeps the targets of sinks right for as long as it runs',
    load: async () => (await import('./sync/run.ts')).syncRun,
  },
  'sync status': {
    summary: 'shows how sinks stand',
    load: async () => (await import('./sync/status.ts')).syncStatus,
  },
  'sync validate': {
    summary: 'says whether files of sinks are right',
    load: async () => (await import('./sync/once.ts')).syncValidate,
  },
  'tls ca create': {
    summary: 'makes an authority for the certificates of agents',
    load: async () => (await import('./tls.ts')).tlsCaCreate,
  },
  'tls cert create': {
    summary: 'makes a certificate of that authority',
    load: async () => (await import('./tls.ts')).tlsCertCreate,
  },
  validate: {
    summary: 'checks files of configuration',
    load: async () => (await import('./validate.ts')).validate,
  },
  version: {
    summary: 'prints the version',
    load: async () => (await import('./version.ts')).version,
  },
  watch: {
    summary: 'prints a view, or calls a command when it changes',
    load: async () => (await import('./watch.ts')).watch,
  },
}

/** Verbs of Consul's that come later, each with the step of ours that brings it. */
export const laterVerbs: Readonly<Record<string, string>> = {
  connect: 'mesh',
  peering: 'federation',
  'services export': 'mesh',
  'services exported-services': 'mesh',
  'services imported-services': 'mesh',
  troubleshoot: 'mesh',
}

/** Verbs of Consul's that are not going to be served, each with the reason. */
export const neverVerbs: Readonly<Record<string, string>> = {
  exec: 'agents run no commands for others, as with disable_remote_exec',
  resource: 'the resource API is not served',
  'snapshot decode': "the state in an archive is ours, not Raft's; see snapshot inspect",
}

/** A command line: its name in texts, the words that are left, and the verbs that it has. */
interface CommandLine {
  readonly name: string
  readonly words: readonly string[]
  readonly verbs: Readonly<Record<string, Verb>>
  readonly later: Readonly<Record<string, string>>
  readonly never: Readonly<Record<string, string>>
}

/**
 * Whose command line the words are: Vault's under its names and behind `gatehouse vault`, else
 * Consul's, with what of Vault's is none of Consul's beside it under our own name.
 */
function lineOf(words: readonly string[], program: string): CommandLine {
  const secrets = { verbs: secretsVerbs, later: laterSecretsVerbs, never: neverSecretsVerbs }
  if (program === 'vault' || program === 'bao') return { name: program, words, ...secrets }
  if (program === 'consul') {
    return { name: program, words, verbs, later: laterVerbs, never: neverVerbs }
  }
  if (words[0] === 'vault') {
    return { name: `${program} vault`, words: words.slice(1), ...secrets }
  }
  return {
    name: program,
    words,
    verbs: { ...plainSecretsVerbs, ...verbs },
    later: { ...laterSecretsVerbs, ...laterVerbs },
    never: { ...neverSecretsVerbs, ...neverVerbs },
  }
}

/** Runs the words of a command line and gives the exit code. `program` is the name called. */
export async function run(words: readonly string[], program: string, io: Io): Promise<number> {
  return runLine(lineOf(words, program), io)
}

async function runLine(line: CommandLine, io: Io): Promise<number> {
  const { words, verbs: known, name: program } = line
  if (/^--?(version|v)$/.test(words[0] ?? '')) return runLine({ ...line, words: ['version'] }, io)
  const name = longest(words, each => Object.hasOwn(known, each))
  const verb = known[name]
  if (verb === undefined) return runNone(line, io)
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

/** The longest begin of the words that is known; '' when none is. */
function longest(words: readonly string[], isKnown: (name: string) => boolean): string {
  const MAX_WORDS = 4
  const names = words.slice(0, MAX_WORDS).map((_, i) => words.slice(0, i + 1).join(' '))
  return names.findLast(isKnown) ?? ''
}

/** No verb, a part of one, one that comes later or never, or none that anyone knows. */
function runNone({ name: program, words, verbs: known, later, never }: CommandLine, io: Io) {
  const NO_VERB_CODE = 127
  const isIn = (names: Readonly<Record<string, string>>) => (each: string) =>
    Object.hasOwn(names, each)
  const comes = longest(words, isIn(later))
  if (comes !== '') return fail(io, `not served yet: ${comes} (${later[comes]})`)
  const refused = longest(words, isIn(never))
  if (refused !== '') return fail(io, `not served: ${refused} (${never[refused]})`)
  const all = Object.keys(known).sort()
  const begin = longest(words, each => all.some(name => name.startsWith(`${each} `)))
  const below = begin === '' ? all : all.filter(name => name.startsWith(`${begin} `))
  const isHelp = words.some(word => /^--?(help|h)$/.test(word))
  const text = listText(program, below, known)
  if (isHelp) io.print(text)
  else io.printError(text)
  if (isHelp) return 0
  return begin === '' ? NO_VERB_CODE : 1
}

function listText(
  program: string,
  names: readonly string[],
  known: Readonly<Record<string, Verb>>,
): string {
  const width = Math.max(...names.map(name => name.length))
  const lines = names.map(name => `  ${name.padEnd(width)}  ${known[name]?.summary}`)
  const more =
    program === 'gatehouse' ? ['', 'The whole command line of Vault: gatehouse vault <verb>'] : []
  return [`Usage: ${program} <verb> [options] [arguments]`, '', ...lines, ...more].join('\n')
}
