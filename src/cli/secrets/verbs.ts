/**
 * The verbs of secrets: Vault's command line.
 *
 * Owns the list, and which of them stand beside Consul's under our own name
 * (docs/decisions/0032-two-command-lines.md). Each is imported only when it is called.
 */
import type { Verb } from '../command.ts'

/** Every verb that is served, by its words. */
export const secretsVerbs: Readonly<Record<string, Verb>> = {
  'audit disable': {
    summary: 'stops an audit device',
    load: async () => (await import('./audit.ts')).auditDisable,
  },
  'audit enable': {
    summary: 'starts an audit device',
    load: async () => (await import('./audit.ts')).auditEnable,
  },
  'audit list': {
    summary: 'lists the audit devices',
    load: async () => (await import('./audit.ts')).auditList,
  },
  'auth disable': {
    summary: 'removes an auth method, with the tokens of its logins',
    load: async () => (await import('./mounts.ts')).authDisable,
  },
  'auth enable': {
    summary: 'mounts an auth method',
    load: async () => (await import('./mounts.ts')).authEnable,
  },
  'auth help': {
    summary: 'says how to log in by an auth method',
    load: async () => (await import('./login.ts')).authHelp,
  },
  'auth list': {
    summary: 'lists the auth methods',
    load: async () => (await import('./mounts.ts')).authList,
  },
  'auth move': {
    summary: 'mounts an auth method at another path',
    load: async () => (await import('./mounts.ts')).authMove,
  },
  'auth tune': {
    summary: 'changes how an auth method is configured',
    load: async () => (await import('./mounts.ts')).authTune,
  },
  debug: {
    summary: 'gathers what a server knows of itself in an archive',
    load: async () => (await import('./debug.ts')).debug,
  },
  delete: {
    summary: 'deletes what stands at a path',
    load: async () => (await import('./logical.ts')).remove,
  },
  'kv copy': {
    summary: 'gives the data of a key to another key as well',
    load: async () => (await import('./kv-transfer.ts')).kvCopy,
  },
  'kv delete': {
    summary: 'deletes versions of a key; they can be undeleted',
    load: async () => (await import('./kv.ts')).kvDelete,
  },
  'kv destroy': {
    summary: 'destroys versions of a key for ever',
    load: async () => (await import('./kv.ts')).kvDestroy,
  },
  'kv enable-versioning': {
    summary: 'has a KV engine keep versions',
    load: async () => (await import('./kv.ts')).kvEnableVersioning,
  },
  'kv get': {
    summary: 'prints the data of a key',
    load: async () => (await import('./kv.ts')).kvGet,
  },
  'kv list': {
    summary: 'lists the keys below a path',
    load: async () => (await import('./kv.ts')).kvList,
  },
  'kv metadata delete': {
    summary: 'removes a key with all its versions',
    load: async () => (await import('./kv-metadata.ts')).kvMetadataDelete,
  },
  'kv metadata get': {
    summary: 'prints what is known of a key and its versions',
    load: async () => (await import('./kv-metadata.ts')).kvMetadataGet,
  },
  'kv metadata patch': {
    summary: 'changes settings of a key',
    load: async () => (await import('./kv-metadata.ts')).kvMetadataPatch,
  },
  'kv metadata put': {
    summary: 'sets all settings of a key',
    load: async () => (await import('./kv-metadata.ts')).kvMetadataPut,
  },
  'kv move': {
    summary: 'gives a key another path, with all its versions',
    load: async () => (await import('./kv-transfer.ts')).kvMove,
  },
  'kv patch': {
    summary: 'changes parts of the data of a key',
    load: async () => (await import('./kv.ts')).kvPatch,
  },
  'kv put': {
    summary: 'writes the data of a key',
    load: async () => (await import('./kv.ts')).kvPut,
  },
  'kv rollback': {
    summary: 'writes an old version of a key as the newest',
    load: async () => (await import('./kv.ts')).kvRollback,
  },
  'kv scan': {
    summary: 'lists all keys below a path, at any depth',
    load: async () => (await import('./kv.ts')).kvScan,
  },
  'kv search': {
    summary: 'finds keys by their path and what describes them',
    load: async () => (await import('./kv-transfer.ts')).kvSearch,
  },
  'kv undelete': {
    summary: 'brings deleted versions of a key back',
    load: async () => (await import('./kv.ts')).kvUndelete,
  },
  'lease lookup': {
    summary: 'prints a lease',
    load: async () => (await import('./lease.ts')).leaseLookup,
  },
  'lease renew': {
    summary: 'makes a lease last longer',
    load: async () => (await import('./lease.ts')).leaseRenew,
  },
  'lease revoke': {
    summary: 'ends leases',
    load: async () => (await import('./lease.ts')).leaseRevoke,
  },
  list: {
    summary: 'lists what stands below a path',
    load: async () => (await import('./logical.ts')).list,
  },
  login: {
    summary: 'logs in, and keeps the token',
    load: async () => (await import('./login.ts')).login,
  },
  monitor: {
    summary: 'prints the log of a server as it is written',
    load: async () => (await import('./about.ts')).monitor,
  },
  'namespace create': {
    summary: 'creates a namespace',
    load: async () => (await import('./namespace.ts')).namespaceCreate,
  },
  'namespace delete': {
    summary: 'deletes a namespace with all that it holds',
    load: async () => (await import('./namespace.ts')).namespaceDelete,
  },
  'namespace list': {
    summary: 'lists the namespaces below this one',
    load: async () => (await import('./namespace.ts')).namespaceList,
  },
  'namespace lock': {
    summary: 'refuses every request to a namespace',
    load: async () => (await import('./namespace.ts')).namespaceLock,
  },
  'namespace lookup': {
    summary: 'prints a namespace',
    load: async () => (await import('./namespace.ts')).namespaceLookup,
  },
  'namespace patch': {
    summary: 'changes what describes a namespace',
    load: async () => (await import('./namespace.ts')).namespacePatch,
  },
  'namespace unlock': {
    summary: 'takes requests to a namespace again',
    load: async () => (await import('./namespace.ts')).namespaceUnlock,
  },
  'operator generate-root': {
    summary: 'makes a new root token, by shares of the unseal key',
    load: async () => (await import('./generate-root.ts')).operatorGenerateRoot,
  },
  'operator apply': {
    summary: 'has a server be as files say, with a plan first',
    load: async () => (await import('./apply.ts')).operatorApply,
  },
  'operator init': {
    summary: 'makes the keys and the first root token',
    load: async () => (await import('./operator.ts')).operatorInit,
  },
  'operator key-status': {
    summary: 'prints which key is written with',
    load: async () => (await import('./operator.ts')).operatorKeyStatus,
  },
  'operator members': {
    summary: 'lists the servers',
    load: async () => (await import('./operator.ts')).operatorMembers,
  },
  'operator raft autopilot get-config': {
    summary: 'prints the settings of autopilot',
    load: async () => (await import('./raft.ts')).raftAutopilotGetConfig,
  },
  'operator raft autopilot state': {
    summary: 'prints how the servers are',
    load: async () => (await import('./raft.ts')).raftAutopilotState,
  },
  'operator raft list-peers': {
    summary: 'lists the servers as Raft would',
    load: async () => (await import('./raft.ts')).raftListPeers,
  },
  'operator raft remove-peer': {
    summary: 'removes a server',
    load: async () => (await import('./raft.ts')).raftRemovePeer,
  },
  'operator raft snapshot inspect': {
    summary: 'says what an archive holds',
    load: async () => (await import('./raft.ts')).raftSnapshotInspect,
  },
  'operator raft snapshot restore': {
    summary: 'replaces the store by an archive',
    load: async () => (await import('./raft.ts')).raftSnapshotRestore,
  },
  'operator raft snapshot save': {
    summary: 'writes an archive of the store',
    load: async () => (await import('./raft.ts')).raftSnapshotSave,
  },
  'operator rekey': {
    summary: 'makes new shares of the unseal key',
    load: async () => (await import('./rekey.ts')).operatorRekey,
  },
  'operator rotate': {
    summary: 'makes a new key for what is written from now on',
    load: async () => (await import('./operator.ts')).operatorRotate,
  },
  'operator rotate-keys': {
    summary: 'makes new shares of the unseal key, by a token as well',
    load: async () => (await import('./rekey.ts')).operatorRotateKeys,
  },
  'operator seal': {
    summary: 'makes a server forget the key',
    load: async () => (await import('./operator.ts')).operatorSeal,
  },
  'operator step-down': {
    summary: 'makes another server lead',
    load: async () => (await import('./operator.ts')).operatorStepDown,
  },
  'operator unseal': {
    summary: 'gives a server a share of the key',
    load: async () => (await import('./operator.ts')).operatorUnseal,
  },
  patch: {
    summary: 'changes parts of what stands at a path',
    load: async () => (await import('./logical.ts')).patch,
  },
  'path-help': {
    summary: 'says what a path is for and what it takes',
    load: async () => (await import('./about.ts')).pathHelp,
  },
  'pki health-check': {
    summary: 'says what of a mount of pki is not as it should be',
    load: async () => (await import('./pki-health.ts')).pkiHealthCheck,
  },
  'pki issue': {
    summary: 'makes an authority below another',
    load: async () => (await import('./pki.ts')).pkiIssue,
  },
  'pki list-intermediates': {
    summary: 'says which authorities another one issued',
    load: async () => (await import('./pki.ts')).pkiListIntermediates,
  },
  'pki reissue': {
    summary: 'makes an authority like one that is there',
    load: async () => (await import('./pki.ts')).pkiReissue,
  },
  'pki verify-sign': {
    summary: 'says whether one authority issued another',
    load: async () => (await import('./pki.ts')).pkiVerifySign,
  },
  'policy delete': {
    summary: 'deletes a policy',
    load: async () => (await import('./policy.ts')).policyDelete,
  },
  'policy explain': {
    summary: 'says why a request was refused',
    load: async () => (await import('./policy-explain.ts')).policyExplain,
  },
  'policy fmt': {
    summary: 'lays out the file of a policy',
    load: async () => (await import('./policy-fmt.ts')).policyFmt,
  },
  'policy lint': {
    summary: 'says what of a policy does not do what it looks like',
    load: async () => (await import('./policy-lint.ts')).policyLint,
  },
  'policy list': {
    summary: 'lists the policies',
    load: async () => (await import('./policy.ts')).policyList,
  },
  'policy read': {
    summary: 'prints a policy',
    load: async () => (await import('./policy.ts')).policyRead,
  },
  'policy write': {
    summary: 'writes a policy',
    load: async () => (await import('./policy.ts')).policyWrite,
  },
  'print token': {
    summary: 'prints the token that is asked with',
    load: async () => (await import('./login.ts')).printToken,
  },
  read: {
    summary: 'prints what stands at a path',
    load: async () => (await import('./logical.ts')).read,
  },
  scan: {
    summary: 'lists all that stands below a path, at any depth',
    load: async () => (await import('./logical.ts')).scan,
  },
  'secrets disable': {
    summary: 'removes a secrets engine with all that it holds',
    load: async () => (await import('./mounts.ts')).secretsDisable,
  },
  'secrets enable': {
    summary: 'mounts a secrets engine',
    load: async () => (await import('./mounts.ts')).secretsEnable,
  },
  'secrets list': {
    summary: 'lists the secrets engines',
    load: async () => (await import('./mounts.ts')).secretsList,
  },
  'secrets move': {
    summary: 'mounts a secrets engine at another path',
    load: async () => (await import('./mounts.ts')).secretsMove,
  },
  'secrets tune': {
    summary: 'changes how a secrets engine is configured',
    load: async () => (await import('./mounts.ts')).secretsTune,
  },
  server: {
    summary: 'runs a server of secrets',
    load: async () => {
      const { serverCommand } = await import('../server.ts')
      return serverCommand(async () => (await import('../../agent/lifecycle.ts')).startAgent)
    },
  },
  status: {
    summary: 'says whether a server is sealed, and who leads',
    load: async () => (await import('./status.ts')).status,
  },
  'token capabilities': {
    summary: 'says what a token may do at a path',
    load: async () => (await import('./token.ts')).tokenCapabilities,
  },
  'token create': {
    summary: 'creates a token',
    load: async () => (await import('./token.ts')).tokenCreate,
  },
  'token lookup': {
    summary: 'prints what is known of a token',
    load: async () => (await import('./token.ts')).tokenLookup,
  },
  'token renew': {
    summary: 'makes a token last longer',
    load: async () => (await import('./token.ts')).tokenRenew,
  },
  'token revoke': {
    summary: 'ends a token and those that it made',
    load: async () => (await import('./token.ts')).tokenRevoke,
  },
  'transit import': {
    summary: 'brings a key of your own, wrapped',
    load: async () => (await import('./transit.ts')).transitImport,
  },
  'transit import-version': {
    summary: 'brings a further version of such a key',
    load: async () => (await import('./transit.ts')).transitImportVersion,
  },
  unwrap: {
    summary: 'prints what was put away for a token',
    load: async () => (await import('./logical.ts')).unwrap,
  },
  version: {
    summary: 'prints the version',
    load: async () => (await import('./about.ts')).version,
  },
  'version-history': {
    summary: 'lists the versions that wrote to the store',
    load: async () => (await import('./about.ts')).versionHistory,
  },
  write: {
    summary: 'writes to a path',
    load: async () => (await import('./logical.ts')).write,
  },
}

/** Verbs of Vault's that come later, by the step that brings them. */
export const laterSecretsVerbs: Readonly<Record<string, string>> = {
  agent: 'agent and proxy',
  'operator raft autopilot set-config': 'settings of the cluster',
  'operator raft demote': 'settings of the cluster',
  'operator raft join': 'settings of the cluster',
  'operator raft promote': 'settings of the cluster',
  plugin: 'engines',
  proxy: 'agent and proxy',
  ssh: 'engines',
}

/** Verbs of Vault's that are not going to be served, each with the reason. */
export const neverSecretsVerbs: Readonly<Record<string, string>> = {
  events: 'of the Enterprise edition',
  hcp: 'a service of its maker',
  'operator diagnose': 'agent -dev and validate say what is wrong with a configuration',
  'operator migrate': 'there is one kind of storage',
  'operator usage': 'clients are not counted',
  'operator validate-config': 'validate does that',
}

/**
 * The groups of verbs that are Consul's under our own name, as a verb of both begins so: there
 * they take `gatehouse vault` before them.
 */
const SHARED = new RegExp(
  `^(${[
    'agent|debug|kv|login|monitor|operator (raft|members)',
    'policy explain|version|version-history',
  ].join('|')})( |$)`,
)

/** Those that also stand beside Consul's. */
export const plainSecretsVerbs: Readonly<Record<string, Verb>> = Object.fromEntries(
  Object.entries(secretsVerbs).filter(([name]) => !SHARED.test(name)),
)
