/** The page of feeds, followed before an agent that is no server, of three. */
process.env.GATEHOUSE_TEST_TARGET = 'agent'
await import('../feeds-page.test.ts')
