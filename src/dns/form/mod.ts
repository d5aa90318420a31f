/**
 * All forms of names, in the order in which a name is tried on them.
 *
 * Owns nothing but the order: a form that is more special stands before the one it resembles.
 */
import { addrForm } from './addr.ts'
import type { DnsForm } from './declare.ts'
import { domainForm } from './domain.ts'
import { laterForm } from './later.ts'
import { nodeForm } from './node.ts'
import { portForm } from './port.ts'
import { queryForm } from './query.ts'
import { reverseForm } from './reverse.ts'
import { rfc2782Form } from './rfc2782.ts'
import { serviceForm } from './service.ts'

export const forms: readonly DnsForm[] = [
  domainForm,
  nodeForm,
  rfc2782Form,
  portForm,
  serviceForm,
  queryForm,
  addrForm,
  reverseForm,
  laterForm,
]
