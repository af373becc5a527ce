// The upload of a raw file by parts, each sent where the one before ends.
import { rawDataServiceUploadRawFile, type UploadRawFileResponse } from "@client/gen";
import { reasonOf } from "./errors";

const PART_BYTES = 1024 * 1024;
const TRIES = 5;
// After the last part the whole file is read before the call is answered.
const HEADERS = { "Grpc-Timeout": "600S" };

export async function upload(file: File, progress: (share: number) => void, mapping = ""): Promise<UploadRawFileResponse> {
  const upload_id = crypto.randomUUID();
  for (let offset = 0, failures = 0; ; ) {
    const end = Math.min(offset + PART_BYTES, file.size);
    const last = end === file.size;
    try {
      const { data } = await rawDataServiceUploadRawFile({
        path: { upload_id },
        query: { name: file.name, offset: String(offset), ...(last && { last, ...(mapping && { mapping }) }) },
        headers: HEADERS,
        body: file.slice(offset, end),
        throwOnError: true,
      });
      progress(end / file.size);
      if (last) return data;
      offset = end;
      failures = 0;
    } catch (error) {
      // A part that was sent before may be sent again.
      if (reasonOf(error) && reasonOf(error) !== "SERVICE_UNAVAILABLE") throw error;
      if (++failures === TRIES) throw error;
      await new Promise((resume) => setTimeout(resume, 500 * 2 ** failures));
    }
  }
}
