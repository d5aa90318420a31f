// biome-ignore-all lint/suspicious/noTemplateCurlyInString: that is what templates are made of
/**
 * Templates of prepared queries: what their texts may say, and what they become for a name.
 */
import t from 'tap'
import { renderTemplate, templateProblem } from '../../src/registry/query-template.ts'
import type { QueryRow, QueryService } from '../../src/store/tables/query.ts'
import { queryRow } from './rules.ts'

const template = (
  name: string,
  service: Partial<QueryService>,
  more: Partial<QueryRow['template']> = {},
): QueryRow => {
  const row = queryRow('', { name, ...more })
  const type = { type: 'name_prefix_match', regexp: '', removeEmptyTags: false, ...more }
  return { ...row, template: type, service: { ...row.service, ...service } }
}

t.test('what is rendered for a name', async t => {
  const service = (text: string, name: string, regexp = ''): string =>
    renderTemplate(template('geo-', { service: text }, { regexp }), name).service.service
  t.equal(service('x-${name.full}', 'geo-db'), 'x-geo-db')
  t.equal(service('${name.prefix}|${name.suffix}', 'GEO-db'), 'geo-|db')
  t.equal(service('${ name.suffix }${agent.segment}', 'geo-db'), 'db')
  t.equal(service('plain', 'geo-db'), 'plain')
  t.equal(service('$${name.full} $', 'geo-db'), '${name.full} $')
  const regexp = '^geo-(.*?)-([^-]+?)$'
  t.equal(service('${match(1)}.${match( 2 )}', 'geo-customer-main', regexp), 'customer.main')
  t.equal(service('${match(0)}', 'geo-customer-main', regexp), 'geo-customer-main')
  t.equal(service('a${match(3)}b${match(99)}', 'geo-customer-main', regexp), 'ab')
  t.equal(service('a${match(1)}', 'geo-db', regexp), 'a', 'no match')
  t.equal(service('a${match(1)}', 'geo-db'), 'a', 'no expression')
})

t.test('all texts of the service are rendered, and nothing else', async t => {
  const query = template('', {
    service: '${name.full}',
    failover: {
      nearestN: 3,
      datacenters: ['dc-${name.suffix}'],
      targets: [{ peer: '${name.full}', datacenter: '' }],
    },
    near: '${name.full}',
    tags: ['${match(1)}', '!${name.full}', 'x'],
    nodeMeta: { '${name.full}': '${name.full}' },
    serviceMeta: { a: '${name.suffix}' },
    ignoreCheckIds: ['${name.full}'],
  })
  t.strictSame(renderTemplate({ ...query, dnsTtl: '${name.full}' }, 'n'), {
    ...query,
    dnsTtl: '${name.full}',
    service: {
      ...query.service,
      service: 'n',
      failover: { nearestN: 3, datacenters: ['dc-n'], targets: [{ peer: 'n', datacenter: '' }] },
      near: 'n',
      tags: ['', '!n', 'x'],
      nodeMeta: { '${name.full}': 'n' },
      serviceMeta: { a: 'n' },
      ignoreCheckIds: ['n'],
    },
  })
  const removing = template('', { tags: query.service.tags }, { removeEmptyTags: true })
  t.strictSame(renderTemplate(removing, 'n').service.tags, ['!n', 'x'])
})

t.test('what a template may say', async t => {
  const problem = (service: Partial<QueryService>, more: Partial<QueryRow['template']> = {}) =>
    templateProblem(template('a', { service: 's', ...service }, more))
  t.equal(problem({}), undefined)
  t.equal(problem({ service: '${name.full}${match(1)}' }), undefined)
  t.equal(problem({ service: '${oops}' }, { type: '' }), undefined, 'no template')
  t.equal(problem({}, { type: 'name_suffix_match' }), `Bad Template.Type 'name_suffix_match'`)
  t.equal(problem({}, { regexp: '(' }), 'Bad Regexp: error parsing regexp: missing closing )')
  t.equal(
    problem({ tags: ['a', '${name.fully}'] }),
    `Bad format '\${name.fully}' in Service: unknown variable accessed: name.fully`,
  )
  for (const bad of ['${', '${name.full', '${}', '${match(x)}', '${match(-1)}', '${toString}']) {
    t.match(problem({ near: bad }), /^Bad format '/, bad)
  }
})
