// Errors by their reasons.
const ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo";

type Failure = { details: Array<{ "@type": string }> };
type Info<E> = E extends { details: Array<infer Detail> } ? Extract<Detail, { "@type": typeof ERROR_INFO }> : never;

/** Why a call failed: the detail with its reason, which is one of those that the call may have. Undefined if the API did not answer. */
export function infoOf<E extends Failure>(error: E): Info<E> | undefined {
  return (error as Partial<Failure>).details?.find((detail): detail is Info<E> => detail["@type"] === ERROR_INFO);
}
