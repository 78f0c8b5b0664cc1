package org.alpaca4j.data.gorilla;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import org.apache.lucene.analysis.Analyzer;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.standard.StandardAnalyzer;
import org.apache.lucene.analysis.tokenattributes.CharTermAttribute;
import org.apache.lucene.document.Document;
import org.apache.lucene.document.Field;
import org.apache.lucene.document.TextField;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.IndexWriter;
import org.apache.lucene.index.IndexWriterConfig;
import org.apache.lucene.index.Term;
import org.apache.lucene.search.BooleanClause;
import org.apache.lucene.search.BooleanQuery;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.search.TermQuery;
import org.apache.lucene.search.similarities.BM25Similarity;
import org.apache.lucene.store.ByteBuffersDirectory;

/**
 * Ranks documents by BM25 over their words, in memory. Words are those of Unicode's text
 * segmentation, in lower case. Documents of equal score keep the order in which they were given.
 *
 * <p>Needs {@code org.apache.lucene:lucene-core}, an optional dependency, on the class path.
 * Thread-safe.
 */
public final class Bm25Retriever implements ApiRetriever {
  /** Lucene's own values, as in Robertson's papers. */
  private static final float K1 = 1.2f;

  private static final float B = 0.75f;
  private static final int MAX_WORDS = 1000;
  private static final String FIELD = "text";

  private final List<String> documents;
  private final Analyzer analyzer = new StandardAnalyzer();
  private final IndexSearcher searcher;

  private Bm25Retriever(List<String> documents) throws IOException {
    this.documents = documents;
    BM25Similarity similarity = new BM25Similarity(K1, B);
    ByteBuffersDirectory directory = new ByteBuffersDirectory();
    IndexWriterConfig config = new IndexWriterConfig(analyzer).setSimilarity(similarity);
    try (IndexWriter writer = new IndexWriter(directory, config)) {
      for (String text : documents) {
        Document document = new Document();
        document.add(new TextField(FIELD, text, Field.Store.NO));
        writer.addDocument(document);
      }
      // One segment: then a document's number is its place in the list, and ties are in that order.
      writer.forceMerge(1);
    }
    searcher = new IndexSearcher(DirectoryReader.open(directory));
    searcher.setSimilarity(similarity);
  }

  /** Returns a retriever over documents; equal ones count once. */
  public static Bm25Retriever of(List<String> documents) {
    Objects.requireNonNull(documents, "documents is null");
    try {
      return new Bm25Retriever(List.copyOf(new LinkedHashSet<>(documents)));
    } catch (IOException e) {
      throw new UncheckedIOException("an index in memory failed", e);
    }
  }

  /** Returns a retriever over the documentation of all records. */
  public static Bm25Retriever ofRecords(List<ApiBenchRecord> records) {
    Objects.requireNonNull(records, "records is null");
    return of(records.stream().map(ApiBenchRecord::document).toList());
  }

  /** {@inheritDoc} Only the first 1,000 different words of the question count. */
  @Override
  public List<String> retrieve(String question, int count) {
    Objects.requireNonNull(question, "question is null");
    if (count < 1) {
      throw new IllegalArgumentException("count must be at least 1, found " + count);
    }
    try {
      BooleanQuery.Builder query = new BooleanQuery.Builder();
      for (String word : words(question)) {
        query.add(new TermQuery(new Term(FIELD, word)), BooleanClause.Occur.SHOULD);
      }
      List<String> found = new ArrayList<>();
      for (ScoreDoc hit : searcher.search(query.build(), count).scoreDocs) {
        found.add(documents.get(hit.doc));
      }
      return found;
    } catch (IOException e) {
      throw new UncheckedIOException("an index in memory failed", e);
    }
  }

  private Set<String> words(String text) throws IOException {
    Set<String> words = new LinkedHashSet<>();
    try (TokenStream stream = analyzer.tokenStream(FIELD, text)) {
      CharTermAttribute word = stream.addAttribute(CharTermAttribute.class);
      stream.reset();
      while (words.size() < MAX_WORDS && stream.incrementToken()) {
        words.add(word.toString());
      }
      return words;
    }
  }
}
