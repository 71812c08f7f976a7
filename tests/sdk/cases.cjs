// What callers do with the official JavaScript SDK: `cases.cjs BASE_URL KEY`.
//
// Prints one JSON list, a case each: the events or the error that the SDK gave to its caller, and
// how many requests it sent. The same cases as in `cases.py`, by the same names.

const { OpenAI, OpenAIError } = require('openai');

const messages = [{ role: 'user', content: 'What is the weather in Paris?' }];
const tools = [
  {
    type: 'function',
    function: {
      name: 'weather',
      description: 'The weather at a place.',
      parameters: { type: 'object', properties: { location: { type: 'string' } } },
    },
  },
];
const called = [
  ...messages,
  {
    role: 'assistant',
    tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'weather', arguments: '{}' } }],
  },
  { role: 'tool', tool_call_id: 'call_1', content: 'rain' },
];
const nothing = 'nothing-of-that-name';

// Each gives one object, or something to iterate over.
const cases = {
  chat: (client) => client.chat.completions.create({ model: 'plain', messages }),
  chat_with_unknown_field: (client) =>
    client.chat.completions.create({
      model: 'plain',
      messages,
      serin_unknown: { a: [1, 2.5, null] },
    }),
  chat_stream: (client) =>
    client.chat.completions.create({ model: 'plain', messages, stream: true }),
  chat_stream_with_usage: (client) =>
    client.chat.completions.create({
      model: 'plain',
      messages,
      stream: true,
      stream_options: { include_usage: true },
    }),
  reasoning_stream: (client) =>
    client.chat.completions.create({ model: 'thinker', messages, stream: true }),
  tool_call: (client) => client.chat.completions.create({ model: 'plain', messages, tools }),
  tool_call_stream: (client) =>
    client.chat.completions.create({ model: 'plain', messages, tools, stream: true }),
  tool_result: (client) =>
    client.chat.completions.create({ model: 'plain', messages: called, tools }),
  completion: (client) => client.completions.create({ model: 'plain', prompt: 'Once upon a time' }),
  completion_stream: (client) =>
    client.completions.create({ model: 'plain', prompt: 'Once upon a time', stream: true }),
  embeddings: (client) =>
    client.embeddings.create({ model: 'plain', input: ['one text', 'another'] }),
  models: (client) => client.models.list(),
  model: (client) => client.models.retrieve('plain'),
  no_such_model: (client) => client.models.retrieve(nothing),
  wrong_key: (client) => client.chat.completions.create({ model: 'plain', messages }),
  unknown_model: (client) => client.chat.completions.create({ model: nothing, messages }),
  unknown_model_stream: (client) =>
    client.chat.completions.create({ model: nothing, messages, stream: true }),
  refused_by_the_provider: (client) =>
    client.chat.completions.create({ model: 'picky', messages }),
  error_in_the_stream: (client) =>
    client.chat.completions.create({ model: 'fragile', messages, stream: true }),
  always_429: (client) => client.chat.completions.create({ model: 'busy', messages }),
  always_500: (client) => client.chat.completions.create({ model: 'broken', messages }),
  always_503: (client) => client.chat.completions.create({ model: 'down', messages }),
  always_503_stream: (client) =>
    client.chat.completions.create({ model: 'down', messages, stream: true }),
};

async function main(baseURL, key) {
  const transcript = [];
  for (const [name, act] of Object.entries(cases)) {
    transcript.push(await run(baseURL, name === 'wrong_key' ? 'sk-nobody-has-this-key' : key, name, act));
  }
  console.log(JSON.stringify(transcript));
}

// One case with a client of its own; the SDK's defaults for retries hold.
async function run(baseURL, apiKey, name, act) {
  let requests = 0;
  const counting = (...request) => {
    requests += 1;
    return fetch(...request);
  };
  const client = new OpenAI({ baseURL, apiKey, fetch: counting, timeout: 60_000 });
  const events = [];
  let error = null;
  try {
    const given = await act(client);
    if (given[Symbol.asyncIterator]) {
      for await (const event of given) events.push(event);
    } else {
      events.push(given);
    }
  } catch (raised) {
    if (!(raised instanceof OpenAIError)) throw raised;
    error = told(raised);
  }
  return { name, events, error, requests };
}

// What the caller's program can see of an error.
function told(error) {
  return {
    class: error.constructor.name,
    status: error.status ?? null,
    code: error.code ?? null,
    type: error.type ?? null,
    param: error.param ?? null,
    message: error.message,
    shouldRetry: error.headers?.get('x-should-retry') ?? null,
  };
}

main(process.argv[2], process.argv[3]);
