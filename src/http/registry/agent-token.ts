/**
 * The agent's own tokens: `/v1/agent/token/` (Consul's API).
 *
 * Owns the names that the API knows the kinds by. A token that was set is never told again.
 */
import { refuse } from '../../base/denied.ts'
import { Refusal } from '../../base/errors.ts'
import { access } from '../../base/who.ts'
import { acting, definePath, EMPTY, type PathDeclaration } from '../declare.ts'
import { object, text } from '../shape.ts'
import { disabled } from './acl.ts'

export interface AgentTokensPort {
  readonly nodeName: string
  /** Sets a token, '' for none; resolves once it is kept, where it is. */
  set(kind: TokenKindOfApi, token: string): Promise<void>
}

type TokenKindOfApi = (typeof KINDS)[keyof typeof KINDS]

/** With the names that older clients use. */
const KINDS = {
  default: 'default',
  acl_token: 'default',
  agent: 'agent',
  acl_agent_token: 'agent',
  agent_recovery: 'agent_recovery',
  agent_master: 'agent_recovery',
  acl_agent_master_token: 'agent_recovery',
  replication: 'replication',
  acl_replication_token: 'replication',
  config_file_service_registration: 'config_file_service_registration',
  dns: 'dns',
} as const

/** The path; where ACLs are off it says so. */
export function agentTokenPath(tokens: AgentTokensPort | undefined): PathDeclaration {
  const rights = () => [access('write', 'agent', tokens?.nodeName ?? '')]
  const declared = definePath({
    where: 'agent',
    path: '/v1/agent/token/{kind}',
    operations: {
      PUT: acting({
        summary: 'Sets one of the tokens that the agent itself shows.',
        query: {},
        body: { shape: object({ Token: text }), failure: 'Request decode failed' },
        answers: { 200: { empty: 'It is set.' }, 404: { text: 'There is no such kind of token.' } },
        access: rights,
        async run({ name, body, who }) {
          const refusal = refuse(who, rights())
          if (refusal !== undefined) return refusal
          if (!Object.hasOwn(KINDS, name)) {
            const shown = JSON.stringify(name.slice(0, SHOWN_CHARS))
            return new Refusal(404, `Token ${shown} is unknown`)
          }
          await tokens!.set(KINDS[name as keyof typeof KINDS], body.Token)
          return EMPTY
        },
      }),
    },
  })
  return tokens === undefined ? disabled(declared) : declared
}

const SHOWN_CHARS = 64
