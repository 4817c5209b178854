// The reference worker's object store: S3 by the AWS SDK for JavaScript.

import { Agent } from 'node:http';
import { GetObjectCommand, HeadObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';

/** Of the store that S3_ENDPOINT and its like name. */
export function openClient(env = process.env) {
  return new S3Client({
    endpoint: env.S3_ENDPOINT,
    region: env.S3_REGION,
    credentials: { accessKeyId: env.S3_ACCESS_KEY, secretAccessKey: env.S3_SECRET_KEY },
    forcePathStyle: true,
    requestHandler: { httpAgent: new Agent({ keepAlive: true, maxSockets: 64 }) },
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
}

/** Undefined where no store is named. */
export function openObjects(env = process.env) {
  if (!env.S3_ENDPOINT) return undefined;
  const client = openClient(env);
  const of = (Key) => ({ Bucket: env.S3_BUCKET, Key });
  const orUndefined = (error) => {
    if (error.$metadata?.httpStatusCode !== 404) throw error;
  };
  return {
    put: (key, body) => client.send(new PutObjectCommand({ ...of(key), Body: body })),
    async get(key) {
      const found = await client.send(new GetObjectCommand(of(key))).catch(orUndefined);
      return found && Buffer.from(await found.Body.transformToByteArray());
    },
    async size(key) {
      const found = await client.send(new HeadObjectCommand(of(key))).catch(orUndefined);
      return found?.ContentLength;
    },
  };
}
