/**
 * Alias checks: the worst of what the catalog says of a service instance, or of a node.
 *
 * Owns whom a definition mirrors, and the texts. Checks of the node count for its services, as
 * everywhere; the alias itself does not. Nothing is run: whoever holds the view asks again when
 * something of the target changed. Pure.
 */
import { type CheckRow, CheckStatus, checks } from '../store/tables/check.ts'
import { fold, onNode } from '../store/tables/names.ts'
import { nodes } from '../store/tables/node.ts'
import { services } from '../store/tables/service.ts'
import type { Reader } from '../store/view.ts'
import { type CheckResult, defineCheck, type Mirrored } from './define.ts'

export const aliasCheck = defineCheck({
  kind: 'alias',
  schema: {
    isAskedBy: ({ aliasNode, aliasService }) =>
      aliasNode !== undefined || aliasService !== undefined,
    fields: ['aliasNode', 'aliasService'],
  },
  mirror: {
    target: ({ aliasNode, aliasService = '' }, node) => ({
      node: aliasNode ?? node,
      serviceId: aliasService,
    }),
    read(view, { aliasNode = '', aliasService = '' }, { node, checkId }) {
      const target = { node: aliasNode || node, serviceId: aliasService }
      const isSelf = (row: CheckRow): boolean => row.node === node && row.checkId === checkId
      const found = checksOf(view, target).filter(row => !isSelf(row))
      const known =
        aliasService === ''
          ? view.get(nodes, fold(target.node))
          : view.get(services, onNode(target.node, aliasService))
      if (known === undefined) {
        const output = `Service ${aliasService} could not be found on node ${aliasNode}`
        return { status: CheckStatus.critical, output }
      }
      return worstOf(found)
    },
  },
})

/** A service's checks and its node's; for a node all that stand on it. */
function checksOf(view: Reader, { node, serviceId }: Mirrored): CheckRow[] {
  const own = view.find(checks, 'instance', onNode(node, ''))
  if (serviceId === '') return own.map(({ row }) => row)
  return [...own, ...view.find(checks, 'instance', onNode(node, serviceId))].map(({ row }) => row)
}

function worstOf(found: readonly CheckRow[]): CheckResult {
  const failing =
    found.find(({ status }) => status === CheckStatus.critical) ??
    found.findLast(({ status }) => status === CheckStatus.warning)
  if (failing !== undefined) {
    const output = `Aliased check ${JSON.stringify(failing.name)} failing: ${failing.output}`
    return { status: failing.status, output }
  }
  const output = found.length === 0 ? 'No checks found.' : 'All checks passing.'
  return { status: CheckStatus.passing, output }
}
