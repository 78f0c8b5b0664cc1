package org.alpaca4j.core.internal.hub;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import org.alpaca4j.core.HubException;
import org.alpaca4j.core.internal.RetryAfter;

/** One repository as the hub serves it: its commits, its files, and what goes wrong with them. */
final class HubClient {
  private static final ObjectMapper JSON = new ObjectMapper();
  // It becomes a file's name.
  private static final Pattern ETAG = Pattern.compile("[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}");
  private static final long UNKNOWN = -1;

  /** A commit and the names of its files. */
  record Listing(String commit, Set<String> files) {}

  /**
   * What the hub says of a file.
   *
   * @param etag without quotes
   * @param size in bytes, or -1 where it is not told
   */
  record FileInfo(String etag, long size) {}

  private final HubHttp http;
  private final HubSettings settings;
  private final RepositoryId id;

  HubClient(HubHttp http, HubSettings settings, RepositoryId id) {
    this.http = http;
    this.settings = settings;
    this.id = id;
  }

  /** Asks which commit a revision stands for now, and which files it has. */
  Listing list(String revision) throws IOException, InterruptedException {
    URI uri =
        URI.create(
            settings.endpoint() + "/api/models/" + id + "/revision/" + encode(revision, true));
    HttpResponse<byte[]> response =
        http.send(
            "GET",
            uri,
            Map.of(),
            HttpResponse.BodyHandlers.ofByteArray(),
            () -> 0,
            answer -> false);
    requireSuccess(response, "revision " + revision);
    try {
      JsonNode json = JSON.readTree(response.body());
      String commit = json.path("sha").asText();
      if (!HubCache.COMMIT.matcher(commit).matches()) {
        throw notHub("does not name the commit of " + revision);
      }
      Set<String> files = new TreeSet<>();
      json.path("siblings").forEach(file -> files.add(file.path("rfilename").asText()));
      return new Listing(commit, files);
    } catch (JsonProcessingException e) {
      throw notHub("does not answer in JSON");
    }
  }

  /** Asks for a file's checksum and size. */
  FileInfo info(String commit, String file) throws IOException, InterruptedException {
    HttpResponse<Void> response =
        http.send(
            "HEAD",
            uri(commit, file),
            Map.of(),
            HttpResponse.BodyHandlers.discarding(),
            () -> 0,
            // The hub says it itself before it sends us on to the storage of large files.
            answer -> answer.headers().firstValue("X-Linked-Etag").isPresent());
    boolean linked = response.headers().firstValue("X-Linked-Etag").isPresent();
    if (!linked) {
      requireSuccess(response, file);
    }
    String found = response.headers().firstValue("X-Repo-Commit").orElse(commit);
    if (!found.equals(commit)) {
      throw notHub("serves " + file + " of commit " + found + " instead of " + commit);
    }
    String etag =
        plain(
            response
                .headers()
                .firstValue("X-Linked-Etag")
                .or(() -> response.headers().firstValue("ETag"))
                .orElse(""));
    if (!ETAG.matcher(etag).matches()) {
      throw notHub("gives no usable ETag for " + file);
    }
    String size = linked ? "X-Linked-Size" : "Content-Length";
    return new FileInfo(etag, response.headers().firstValueAsLong(size).orElse(UNKNOWN));
  }

  URI uri(String commit, String file) {
    return URI.create(
        settings.endpoint() + "/" + id + "/resolve/" + commit + "/" + encode(file, false));
  }

  static String plain(String etag) {
    String strong = etag.startsWith("W/") ? etag.substring(2) : etag;
    return strong.replaceAll("^\"|\"$", "");
  }

  private static String encode(String text, boolean slashes) {
    String encoded = URLEncoder.encode(text, StandardCharsets.UTF_8).replace("+", "%20");
    return slashes ? encoded : encoded.replace("%2F", "/");
  }

  private HubException notHub(String what) {
    return new HubException(
        settings.endpoint()
            + " "
            + what
            + " ("
            + id
            + "): it does not behave like a Hugging Face hub; check HF_ENDPOINT and the proxy");
  }

  /** Throws what an answer means unless it is a success. */
  void requireSuccess(HttpResponse<?> response, String what) throws Retries.Passing {
    int status = response.statusCode();
    if (status == 200 || status == 206) {
      return;
    }
    HubException failure =
        new HubException(
            id
                + ", "
                + what
                + ": "
                + (http.isEndpoint(response.uri())
                    ? meaning(response, status)
                    : "the storage " + response.uri().getHost() + " answered " + status),
            status);
    if (Retries.isPassing(status)) {
      throw new Retries.Passing(failure, RetryAfter.of(response.headers(), Instant.now()));
    }
    throw failure;
  }

  private String meaning(HttpResponse<?> response, int status) {
    String code = response.headers().firstValue("X-Error-Code").orElse("");
    String page = settings.endpoint() + "/" + id;
    boolean asked = settings.token() != null;
    if (code.equals("GatedRepo")) {
      return "the model is gated ("
          + status
          + "): accept its conditions at "
          + page
          + (asked
              ? " with the account whose token is used"
              : ", then set HF_TOKEN to a token of that account");
    }
    String local = "; if a local folder was meant, there is none of that name here";
    return switch (status) {
      case 401 ->
          (asked
                  ? "the token was refused, or "
                  : "it is private or does not exist, and no token is set (401): ")
              + (asked
                  ? "the model is private or does not exist (401): check HF_TOKEN and the name"
                  : "check the name, or set HF_TOKEN")
              + local;
      case 403 ->
          "access is refused (403): see "
              + page
              + (asked ? "; the token may lack the right to read it" : ", and set HF_TOKEN");
      case 404 ->
          code.equals("RevisionNotFound") || code.equals("EntryNotFound")
              ? "the model has no such revision or file (404): see " + page + "/tree/main"
              : "not found (404) at " + settings.endpoint() + ": check the name" + local;
      case 429 ->
          "the hub asks for fewer requests (429): wait some minutes"
              + (asked ? "" : ", or set HF_TOKEN, for which more are permitted");
      default -> "the hub answered " + status + "; try again later";
    };
  }
}
