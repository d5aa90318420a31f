/**
 * The views of an agent without a store: what it keeps of the servers', and who may see what of it.
 *
 * Owns how replica, rights and faces are joined. DNS and reads that take what is kept go on from it
 * while no server can be reached; everything else is the servers'.
 */
import type { Clock, Random } from '../../base/clock.ts'
import type { Refusal } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import type { Timeouts } from '../../base/timeouts.ts'
import { type Authority, openAuthority, type Who } from '../../base/who.ts'
import { type DnsRights, openRights } from '../../dns/rights.ts'
import type { DnsViews } from '../../dns/views.ts'
import type { HttpViews } from '../../http/views.ts'
import { ANONYMOUS_SECRET } from '../../identity/authority.run.ts'
import { ResolvedAuthority, type ResolvedSettings } from '../../identity/resolved.run.ts'
import { principalKind, resolvedPrincipals } from '../../identity/resolved.ts'
import { queryKind } from '../../registry/query-interest.ts'
import type { ServerChannel } from '../../rpc/channels.ts'
import { viewUpstream } from '../../rpc/view.ts'
import { Asker } from '../../store/ask.ts'
import { withSystemTables } from '../../store/local.ts'
import { type Follows, Replica, replicaTables } from '../../store/replica/engine.ts'
import type { InterestKind } from '../../store/replica/interest.ts'
import { catalogInterests } from '../../store/replica/kinds.ts'
import { registryTables } from '../../store/tables/mod.ts'
import { dnsRights } from '../dns-rights.ts'
import { type AgentTokens, openTokens } from '../publishers.ts'
import type { OwnTokens } from '../tokens.ts'

/** What may be followed of a server, by agents whose ACLs are the same. */
export const viewKinds = (
  settings: Pick<ResolvedSettings, 'defaultPolicy' | 'keyListPolicy'>,
): readonly InterestKind[] => [...catalogInterests, queryKind, principalKind(settings)]

export interface ClientViewsPorts {
  readonly channel: Pick<ServerChannel, 'open'>
  readonly clock: Clock
  readonly random: Random
  readonly timeouts: Timeouts
  readonly log: Log
  readonly tokens: OwnTokens
  /** Undefined where ACLs are off. */
  readonly acl: ResolvedSettings | undefined
  /** What the agent's recovery token may do. */
  readonly recoverer: Who
}

/** The settings of those whose ACLs are off: nobody asks for rights. */
const OPEN = { defaultPolicy: 'allow', keyListPolicy: false } as const
const NOBODY: Follows = { id: '', token: '' }

export class ClientViews {
  readonly replica: Replica
  /** Of what is kept. */
  readonly asker: Asker
  readonly authority: Authority
  readonly agentTokens: AgentTokens
  readonly dns: DnsViews
  readonly dnsRights: DnsRights
  readonly #resolved: ResolvedAuthority | undefined
  readonly #tokens: OwnTokens

  constructor(ports: ClientViewsPorts) {
    const { channel, clock, random, timeouts, log, tokens, acl } = ports
    this.#tokens = tokens
    this.replica = new Replica({
      tables: [...withSystemTables(registryTables), ...replicaTables, resolvedPrincipals],
      kinds: viewKinds(acl ?? OPEN),
      ...{ clock, random, log, connect: viewUpstream(channel), ownToken: () => this.#ownToken },
    })
    this.asker = new Asker(this.replica, timeouts, this.replica)
    this.#resolved = acl && this.#resolvedBy(acl, ports)
    this.authority = this.#resolved ?? openAuthority
    this.agentTokens = this.#agentTokens()
    this.dnsRights = this.#rightsOfDns()
    this.dns = {
      ensure: interests => this.replica.ensure(interests, this.#followsOf(this.#dnsToken)),
    }
    tokens.onChange(() => this.#followOwn())
  }

  /** Follows a server from now on. */
  start(): void {
    this.#followOwn()
    this.replica.start()
  }

  close(): Promise<void> {
    return this.replica.close()
  }

  /** What the HTTP face asks; `forward` has a server answer. */
  http(forward: HttpViews['forward']): HttpViews {
    const { replica, asker } = this
    return {
      asker,
      forward,
      ensure: (interests, token) => replica.ensure(interests, this.#followsOf(token)),
    }
  }

  #resolvedBy(settings: ResolvedSettings, ports: ClientViewsPorts): ResolvedAuthority {
    const { clock, random, timeouts, tokens, recoverer } = ports
    return new ResolvedAuthority({
      ...{ replica: this.replica, clock, random, timeouts, settings },
      defaultToken: () => tokens.of('default'),
      recovery: () => {
        const token = tokens.of('agent_recovery')
        return token === '' ? undefined : { token, principal: recoverer }
      },
    })
  }

  #agentTokens(): AgentTokens {
    const resolved = this.#resolved
    if (resolved === undefined) return openTokens
    return {
      whoOf: kind => resolved.authenticate(this.#tokens.of(kind) || this.#tokens.of('default')),
      authenticate: token => resolved.authenticate(token),
    }
  }

  #rightsOfDns(): DnsRights {
    const { replica, authority, agentTokens: tokens } = this
    if (this.#resolved === undefined) return openRights
    // A query with a token of its own is not here: DNS says so before it asks who is to see it.
    const seerOf = (who: Who): Who | Refusal => who
    return dnsRights({ store: replica, authority, own: this.#tokens, tokens, seerOf })
  }

  /** In whose name something is followed for who shows a token. */
  #followsOf(token: string): Follows {
    return this.#resolved?.followsOf(token) ?? NOBODY
  }

  get #ownToken(): string {
    if (this.#resolved === undefined) return ''
    return this.#tokens.of('agent') || this.#tokens.of('default') || ANONYMOUS_SECRET
  }

  get #dnsToken(): string {
    return this.#tokens.of('dns') || this.#tokens.of('default')
  }

  /** Whom DNS answers for is known before anybody asks, and stays so while no server is there. */
  #followOwn(): void {
    this.#resolved?.keep([this.#dnsToken, this.#ownToken])
  }
}
