package org.alpaca4j.core.internal.hub;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpTimeoutException;
import java.time.Duration;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.LongSupplier;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Requests to the hub. Redirects are followed here and not by the JDK's client, so that the token
 * goes to the endpoint's scheme, host and port and nowhere else.
 */
final class HubHttp {
  private static final int MAX_REDIRECTS = 10;
  private static final Set<Integer> REDIRECTS = Set.of(301, 302, 303, 307, 308);

  private final HttpClient client;
  private final URI endpoint;
  private final @Nullable String token;

  /** How long a host may take to be reached at all. */
  private static final Duration CONNECT = Duration.ofSeconds(5);

  private final Duration timeout;

  /**
   * Prepares requests.
   *
   * @param timeout how long to wait for a connection, for an answer, and for each next byte
   */
  HubHttp(HubSettings settings, Duration timeout) {
    this.endpoint = settings.endpoint();
    this.token = settings.token();
    this.timeout = timeout;
    // Version 1.1: several files at once then travel on as many connections.
    this.client =
        HttpClient.newBuilder()
            .followRedirects(HttpClient.Redirect.NEVER)
            .version(HttpClient.Version.HTTP_1_1)
            .connectTimeout(timeout.compareTo(CONNECT) < 0 ? timeout : CONNECT)
            .build();
  }

  /**
   * Sends a request and follows its redirects.
   *
   * @param headers beside the token and the library's name
   * @param body receives the last answer's body
   * @param received tells how many bytes have come: while it grows, the time-out starts anew
   * @param enough the answer to stop at, though it may be a redirect
   */
  <T> HttpResponse<T> send(
      String method,
      URI uri,
      Map<String, String> headers,
      HttpResponse.BodyHandler<T> body,
      LongSupplier received,
      Predicate<HttpResponse<T>> enough)
      throws IOException, InterruptedException {
    URI current = uri;
    for (int redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
      HttpResponse<T> response = await(request(method, current, headers), body, received);
      String location = response.headers().firstValue("Location").orElse(null);
      if (!REDIRECTS.contains(response.statusCode()) || location == null || enough.test(response)) {
        return response;
      }
      current = target(current, location);
    }
    throw new IOException("More than " + MAX_REDIRECTS + " redirects from " + withoutQuery(uri));
  }

  private HttpRequest request(String method, URI uri, Map<String, String> headers) {
    HttpRequest.Builder request =
        HttpRequest.newBuilder(uri)
            .method(method, HttpRequest.BodyPublishers.noBody())
            .header("User-Agent", "alpaca4j")
            .header("Accept-Encoding", "identity");
    headers.forEach(request::header);
    if (token != null && isEndpoint(uri)) {
      request.header("Authorization", "Bearer " + token);
    }
    return request.build();
  }

  private <T> HttpResponse<T> await(
      HttpRequest request, HttpResponse.BodyHandler<T> body, LongSupplier received)
      throws IOException, InterruptedException {
    CompletableFuture<HttpResponse<T>> answer = client.sendAsync(request, body);
    boolean done = false;
    try {
      long before = received.getAsLong();
      while (true) {
        try {
          HttpResponse<T> response = answer.get(timeout.toMillis(), TimeUnit.MILLISECONDS);
          done = true;
          return response;
        } catch (TimeoutException e) {
          long now = received.getAsLong();
          if (now == before) {
            throw new HttpTimeoutException("nothing came for " + timeout.toMillis() + " ms");
          }
          before = now;
        } catch (ExecutionException e) {
          done = true;
          if (e.getCause() instanceof IOException cause) {
            throw cause;
          }
          if (e.getCause() instanceof RuntimeException cause) {
            throw cause; // the disk's or the listener's
          }
          throw new IOException(String.valueOf(e.getCause()), e.getCause());
        }
      }
    } finally {
      if (!done) {
        answer.cancel(true);
      }
    }
  }

  private static URI target(URI from, String location) throws IOException {
    URI to;
    try {
      to = from.resolve(location);
    } catch (IllegalArgumentException e) {
      throw new IOException(withoutQuery(from) + " redirects to something that is not a URL");
    }
    boolean safe =
        "https".equalsIgnoreCase(to.getScheme())
            || ("http".equalsIgnoreCase(to.getScheme()) && from.getScheme().equals("http"));
    if (!safe || to.getHost() == null) {
      throw new IOException(
          withoutQuery(from) + " redirects to " + withoutQuery(to) + ", which is not secure");
    }
    return to;
  }

  boolean isEndpoint(URI uri) {
    return endpoint.getScheme().equalsIgnoreCase(uri.getScheme())
        && endpoint.getHost().equalsIgnoreCase(uri.getHost())
        && port(endpoint) == port(uri);
  }

  private static int port(URI uri) {
    if (uri.getPort() >= 0) {
      return uri.getPort();
    }
    return "https".equalsIgnoreCase(uri.getScheme()) ? 443 : 80;
  }

  /** Returns a URL to show: the query of a signed one is a secret. */
  static String withoutQuery(URI uri) {
    return uri.getScheme()
        + "://"
        + uri.getHost()
        + (uri.getPort() < 0 ? "" : ":" + uri.getPort())
        + uri.getRawPath();
  }
}
