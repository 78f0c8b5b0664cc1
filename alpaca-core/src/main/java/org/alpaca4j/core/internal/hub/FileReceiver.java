package org.alpaca4j.core.internal.hub;

import java.io.IOException;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Flow;
import java.util.function.LongConsumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** Writes the body of an answer to the end of a file; all but 200 and 206 is passed over. */
final class FileReceiver implements HttpResponse.BodyHandler<Void> {
  private static final Pattern RANGE = Pattern.compile("bytes ([0-9]{1,18})-[0-9]+/([0-9]+|\\*)");

  /** A failure of this machine's disk: no other answer of the hub would help. */
  static final class DiskException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    DiskException(IOException cause) {
      super(cause);
    }
  }

  private final FileChannel file;
  private final LongConsumer progress;
  private volatile long size;
  private volatile long received;
  private volatile boolean stopped;

  /**
   * Prepares to write to a file from its end.
   *
   * @param progress told the file's size after each piece
   */
  FileReceiver(FileChannel file, LongConsumer progress) throws IOException {
    this.file = file;
    this.progress = progress;
    this.size = file.size();
  }

  /** Returns how many bytes have come, whether or not they begin the file anew. */
  long received() {
    return received;
  }

  /** Keeps an answer that comes late from writing to a file that others write by now. */
  synchronized void stop() {
    stopped = true;
  }

  @Override
  public synchronized HttpResponse.BodySubscriber<Void> apply(HttpResponse.ResponseInfo response) {
    if (stopped) {
      return HttpResponse.BodySubscribers.discarding();
    }
    if (response.statusCode() == 206) {
      Matcher range =
          RANGE.matcher(response.headers().firstValue("Content-Range").orElse("missing"));
      if (!range.matches() || Long.parseLong(range.group(1)) != size) {
        return new Writer(new IOException("the hub sent another range than was asked for"));
      }
      return new Writer(null);
    }
    if (response.statusCode() == 200) {
      try {
        file.truncate(0);
        size = 0;
      } catch (IOException e) {
        throw new DiskException(e);
      }
      return new Writer(null);
    }
    return HttpResponse.BodySubscribers.discarding();
  }

  private synchronized void write(ByteBuffer piece) throws IOException {
    while (!stopped && piece.hasRemaining()) {
      int written = file.write(piece, size);
      size += written;
      received += written;
    }
  }

  private final class Writer implements HttpResponse.BodySubscriber<Void> {
    private final CompletableFuture<Void> done = new CompletableFuture<>();
    private final @Nullable IOException refusal;
    private Flow.@Nullable Subscription subscription;

    Writer(@Nullable IOException refusal) {
      this.refusal = refusal;
    }

    @Override
    public CompletionStage<Void> getBody() {
      return done;
    }

    @Override
    public void onSubscribe(Flow.Subscription value) {
      subscription = value;
      if (refusal != null) {
        value.cancel();
        done.completeExceptionally(refusal);
      } else {
        value.request(Long.MAX_VALUE);
      }
    }

    @Override
    public void onNext(List<ByteBuffer> pieces) {
      try {
        for (ByteBuffer piece : pieces) {
          write(piece);
        }
        progress.accept(size);
      } catch (IOException e) {
        fail(new DiskException(e));
      } catch (RuntimeException e) {
        fail(e); // the listener's
      }
    }

    private void fail(RuntimeException e) {
      Flow.Subscription current = subscription;
      if (current != null) {
        current.cancel();
      }
      done.completeExceptionally(e);
    }

    @Override
    public void onError(Throwable throwable) {
      done.completeExceptionally(throwable);
    }

    @Override
    public void onComplete() {
      done.complete(null);
    }
  }
}
