/** The topics of the registry: each has a name of its own, and says what it is. */
import t from 'tap'
import { registryTopics } from '../../../src/registry/topic/mod.ts'

t.test('names are told apart, and each topic says what may be selected', async t => {
  const topics = registryTopics('dc1')
  t.equal(new Set(topics.map(({ name }) => name)).size, topics.length)
  for (const { name, summary, fields } of topics) {
    t.match(summary, /\.$/, name)
    t.ok(Object.keys(fields).length > 0, name)
  }
})
