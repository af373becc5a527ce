package com.hashiramart.example;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ChannelCredentials;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.TlsChannelCredentials;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.MetadataUtils;
import java.io.File;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

/** Channels with deadlines, TLS and the access token; retries; errors by their stable names. */
final class Connection {
    private static final int DEADLINE_SECONDS = 10;
    private static final int ATTEMPTS = 4;

    private Connection() {}

    /** A channel to a service, whose address is in the environment: HASHIRAMART_AUTH and so on. */
    static ManagedChannel connect(String name, int port) throws IOException {
        String address = System.getenv().getOrDefault("HASHIRAMART_" + name, "127.0.0.1:" + port);
        return Grpc.newChannelBuilder(address, credentials()).intercept(new Deadline()).build();
    }

    /** Makes the calls of a stub as the user of an access token. */
    static ClientInterceptor signedIn(String accessToken) {
        Metadata metadata = new Metadata();
        metadata.put(Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER), "Bearer " + accessToken);
        return MetadataUtils.newAttachHeadersInterceptor(metadata);
    }

    /** Plaintext, or TLS with the authority in HASHIRAMART_TLS_CA, and where the mesh asks for it the client's own certificate. */
    private static ChannelCredentials credentials() throws IOException {
        String authority = System.getenv("HASHIRAMART_TLS_CA");
        if (authority == null) {
            return InsecureChannelCredentials.create();
        }
        TlsChannelCredentials.Builder tls = TlsChannelCredentials.newBuilder().trustManager(new File(authority));
        String certificate = System.getenv("HASHIRAMART_TLS_CERTIFICATE");
        if (certificate != null) {
            tls.keyManager(new File(certificate), new File(System.getenv("HASHIRAMART_TLS_KEY")));
        }
        return tls.build();
    }

    /** Makes a call again while it fails with UNAVAILABLE. For reads, and for writes with a request_id. */
    static <T> T retry(Supplier<T> call) throws InterruptedException {
        for (int attempt = 1; ; attempt++) {
            try {
                return call.get();
            } catch (StatusRuntimeException error) {
                if (error.getStatus().getCode() != Status.Code.UNAVAILABLE || attempt == ATTEMPTS) {
                    throw error;
                }
                Thread.sleep(50L << attempt);
            }
        }
    }

    /** A part of the example, which may fail. */
    interface Step {
        Map<String, Object> take() throws Exception;
    }

    /** What came of a step, or the error that it ended with, by its stable names. */
    static Map<String, Object> outcome(Step step) throws Exception {
        try {
            return step.take();
        } catch (StatusRuntimeException error) {
            return Map.of("code", error.getStatus().getCode().name(), "reason", reasonOf(error), "fields", invalidFields(error));
        }
    }

    /** The stable reason of an error, empty if it has none. */
    static String reasonOf(StatusRuntimeException error) {
        return detail(error, ErrorInfo.class).map(ErrorInfo::getReason).orElse("");
    }

    /** The fields of the request that an INVALID_ARGUMENT error names. */
    private static List<String> invalidFields(StatusRuntimeException error) {
        return detail(error, BadRequest.class).stream()
                .flatMap(bad -> bad.getFieldViolationsList().stream())
                .map(BadRequest.FieldViolation::getField)
                .toList();
    }

    private static <T extends Message> Optional<T> detail(StatusRuntimeException error, Class<T> type) {
        for (Any detail : StatusProto.fromThrowable(error).getDetailsList()) {
            if (detail.is(type)) {
                try {
                    return Optional.of(detail.unpack(type));
                } catch (InvalidProtocolBufferException damaged) {
                    throw new IllegalArgumentException(damaged);
                }
            }
        }
        return Optional.empty();
    }

    /** Gives calls with one response a deadline, unless they have one. */
    private static final class Deadline implements ClientInterceptor {
        @Override
        public <A, B> ClientCall<A, B> interceptCall(MethodDescriptor<A, B> method, CallOptions options, Channel next) {
            boolean needed = options.getDeadline() == null && method.getType().serverSendsOneMessage();
            return next.newCall(method, needed ? options.withDeadlineAfter(DEADLINE_SECONDS, TimeUnit.SECONDS) : options);
        }
    }
}
