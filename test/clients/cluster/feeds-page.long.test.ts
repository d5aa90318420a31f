/** The page of feeds, followed before three servers, the requests spread over them. */
process.env.GATEHOUSE_TEST_TARGET = 'cluster'
await import('../feeds-page.test.ts')
